#include "model/tokenizer/pre_tokenizer.h"

#include <fmt/format.h>
#include <unicode/normalizer2.h>
#include <unicode/regex.h>
#include <unicode/unistr.h>

#include <algorithm>

#include "base/quote.h"
#include "cross/error.h"
#include "model/tokenizer/pattern.h"

namespace cross::model {
namespace {

/// Of UTF-16 units in the text.
struct Range {
  std::int32_t begin = 0, end = 0;
  bool match = false;
};

/// A match takes microseconds; a pattern that backtracks through a whole text would take for ever. About
/// milliseconds, as ICU counts.
constexpr std::int32_t longest_match = 500;

/// ICU counts in 32 bits.
constexpr std::size_t longest_text = std::size_t{1} << 29;

icu::StringPiece piece_of(std::string_view text) {
  if (text.size() > longest_text)
    throw UsageError(fmt::format("a text of {} bytes is too long for one call", text.size()));
  return {text.data(), static_cast<std::int32_t>(text.size())};
}

void join_contiguous(std::vector<Range>& ranges) {
  std::vector<Range> joined;
  for (const Range& range : ranges)
    if (!joined.empty() && joined.back().match == range.match)
      joined.back().end = range.end;
    else
      joined.push_back(range);
  ranges = std::move(joined);
}

/// A match goes to what stands before it, unless that is a match, too.
void join_with_previous(std::vector<Range>& ranges) {
  std::vector<Range> joined;
  bool after_match = false;
  for (const Range& range : ranges) {
    if (range.match && !after_match && !joined.empty())
      joined.back().end = range.end;
    else
      joined.push_back(range);
    after_match = range.match;
  }
  ranges = std::move(joined);
}

void join_with_next(std::vector<Range>& ranges) {
  std::vector<Range> joined;
  bool before_match = false;
  for (auto range = ranges.rbegin(); range != ranges.rend(); ++range) {
    if (range->match && !before_match && !joined.empty())
      joined.back().begin = range->begin;
    else
      joined.push_back(*range);
    before_match = range->match;
  }
  std::reverse(joined.begin(), joined.end());
  ranges = std::move(joined);
}

}  // namespace

struct PreTokenizer::Compiled {
  std::vector<std::unique_ptr<icu::RegexPattern>> patterns;  // one per step; null: the step has none
  const icu::Normalizer2* nfc = nullptr;

  /// The matches of step `step` in [whole.begin, whole.end), and what stands between them.
  void find(icu::RegexMatcher& matcher, const CutStep& step, const Range& whole,
            std::vector<Range>& found) const {
    UErrorCode error = U_ZERO_ERROR;
    matcher.region(whole.begin, whole.end, error);
    std::int32_t at = whole.begin;
    const auto add = [&](std::int32_t end, bool match) {
      if (end > at) found.push_back({at, end, match != step.invert});
      at = end;
    };
    while (matcher.find(error)) {
      add(matcher.start(error), false);
      add(matcher.end(error), true);
    }
    add(whole.end, false);
    if (U_FAILURE(error))
      throw InputError(fmt::format("the tokeniser's pattern {} cannot be matched with this text: {}",
                                   base::in_quotes(step.pattern), u_errorName(error)));
  }
};

PreTokenizer::PreTokenizer(PreTokenizerRules rules, const std::string& where)
    : rules_(std::move(rules)), compiled_(std::make_unique<Compiled>()) {
  UErrorCode error = U_ZERO_ERROR;
  compiled_->nfc = icu::Normalizer2::getNFCInstance(error);
  if (U_FAILURE(error)) throw InternalError(fmt::format("ICU cannot compose: {}", u_errorName(error)));
  for (const CutStep& step : rules_.steps) {
    if (step.pattern.empty()) {
      compiled_->patterns.emplace_back();
      continue;
    }
    const auto refuse = [&](const std::string& why) {
      throw InputError(fmt::format("{}: the pattern {} {}", where, base::in_quotes(step.pattern), why));
    };
    if (const std::string construct = unportable_construct(step.pattern); !construct.empty())
      refuse(fmt::format("has {}, which libraries of regular expressions read differently", construct));
    compiled_->patterns.emplace_back(icu::RegexPattern::compile(
        icu::UnicodeString::fromUTF8(piece_of(with_flat_loops(step.pattern))), 0, error));
    if (U_FAILURE(error))
      refuse(fmt::format("is no regular expression that ICU takes: {}", u_errorName(error)));
  }
}

PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;

std::string PreTokenizer::normalise(std::string_view text) const {
  if (!rules_.compose) return std::string(text);
  UErrorCode error = U_ZERO_ERROR;
  std::string result;
  // By way of UTF-16, so that ill-formed bytes are replaced.
  compiled_->nfc->normalize(icu::UnicodeString::fromUTF8(piece_of(text)), error).toUTF8String(result);
  if (U_FAILURE(error)) throw InternalError(fmt::format("ICU cannot compose: {}", u_errorName(error)));
  return result;
}

void PreTokenizer::cut(std::string_view text, const std::function<void(std::string_view)>& use) const {
  icu::UnicodeString whole = icu::UnicodeString::fromUTF8(piece_of(text));
  std::vector<Range> pieces, cut;
  if (!whole.isEmpty()) pieces.push_back({0, whole.length()});
  for (std::size_t s = 0; s < rules_.steps.size(); ++s) {
    const CutStep& step = rules_.steps[s];
    cut.clear();
    if (step.pattern.empty()) {
      icu::UnicodeString spaced;
      for (const Range& piece : pieces) {
        const std::int32_t begin = spaced.length();
        if (whole.charAt(piece.begin) != u' ') spaced.append(u' ');
        spaced.append(whole, piece.begin, piece.end - piece.begin);
        cut.push_back({begin, spaced.length()});
      }
      whole = std::move(spaced);
      pieces.swap(cut);
      continue;
    }
    UErrorCode error = U_ZERO_ERROR;
    const std::unique_ptr<icu::RegexMatcher> matcher(compiled_->patterns[s]->matcher(whole, error));
    if (U_SUCCESS(error)) matcher->setTimeLimit(longest_match, error);
    if (U_FAILURE(error)) throw InternalError(fmt::format("ICU cannot match: {}", u_errorName(error)));
    std::vector<Range> found;
    for (const Range& piece : pieces) {
      found.clear();
      compiled_->find(*matcher, step, piece, found);
      if (step.matches == Matches::contiguous) join_contiguous(found);
      if (step.matches == Matches::merged_with_previous) join_with_previous(found);
      if (step.matches == Matches::merged_with_next) join_with_next(found);
      for (const Range& range : found)
        if (step.matches != Matches::removed || !range.match) cut.push_back({range.begin, range.end});
    }
    pieces.swap(cut);
  }
  std::string word;
  for (const Range& piece : pieces) {
    word.clear();
    whole.tempSubStringBetween(piece.begin, piece.end).toUTF8String(word);
    use(word);
  }
}

}  // namespace cross::model
