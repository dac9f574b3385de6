// What happens to text before byte-pair encoding: normalisation, and the cut into words.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace cross::model {

/// What becomes of the places that a pattern matches.
enum class Matches : std::uint8_t { isolated, removed, merged_with_previous, merged_with_next, contiguous };

/// One step of the cut; each works on every piece that the steps before it left.
struct CutStep {
  std::string pattern;  ///< regular expression; empty: a space goes in front of every piece without
  Matches matches = Matches::isolated;
  bool invert = false;  ///< what does not match is a match
};

struct PreTokenizerRules {
  bool compose = false;  ///< canonical composition (NFC)
  std::vector<CutStep> steps;
};

/// Const access is thread-safe.
class PreTokenizer {
 public:
  /// InputError, starting with `where`, for a pattern that is none or that has constructs which libraries of
  /// regular expressions understand differently.
  PreTokenizer(PreTokenizerRules rules, const std::string& where);
  ~PreTokenizer();
  PreTokenizer(PreTokenizer&&) noexcept;

  std::string normalise(std::string_view text) const;

  /// Calls use(word) for the words of normalised text, in order. Bytes that are not UTF-8 become U+FFFD.
  /// InputError if a pattern takes too long for the text.
  void cut(std::string_view text, const std::function<void(std::string_view)>& use) const;

  const PreTokenizerRules& rules() const { return rules_; }

 private:
  struct Compiled;

  PreTokenizerRules rules_;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace cross::model
