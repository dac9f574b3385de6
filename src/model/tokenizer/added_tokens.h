// Tokens that are cut out of the text whole, before anything else sees it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cross::model {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = false;      ///< marks something; no text of its own
  bool normalized = false;   ///< looked for in the normalised text
  bool strip_left = false;   ///< takes the white space in front of it along
  bool strip_right = false;  ///< and behind it
};

/// A part of a text: one of the tokens, or what stands between two.
struct TextPart {
  std::string_view text;
  std::int32_t id = -1;  ///< -1: text
};

/// Finds tokens in text, the longest of those that start at a place. Const access is thread-safe.
class TokenFinder {
 public:
  TokenFinder() = default;
  /// Tokens without content are never found.
  explicit TokenFinder(std::vector<AddedToken> tokens);

  /// `text` cut at its tokens; parts that would be empty are left out.
  std::vector<TextPart> cut(std::string_view text) const;

 private:
  const AddedToken* longest_at(std::string_view text) const;

  std::vector<AddedToken> tokens_;          // by content
  std::array<std::uint32_t, 257> first_{};  // those that start with byte b: [first_[b], first_[b + 1])
};

}  // namespace cross::model
