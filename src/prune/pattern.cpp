#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

#include "base/quote.h"
#include "cross/error.h"
#include "cross/prune.h"
#include "prune/options.h"

namespace cross {
namespace {

constexpr int largest_side = 4096;

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw UsageError(
      fmt::format("pattern {}: {}; it must be unstructured, KEEP:GROUP (such as 2:4), block:RxC (such as "
                  "block:16x16) or row",
                  base::in_quotes(text), why));
}

/// Digits only: no sign, no blank.
std::optional<int> whole_number(std::string_view text) {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || text.front() == '-' || error != std::errc{} || stopped != end) return std::nullopt;
  return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

BlockNorm norm_from(std::string_view text, std::string_view norm) {
  if (norm == "l1") return BlockNorm::l1;
  if (norm == "l2") return BlockNorm::l2;
  refuse(text, fmt::format("{} is no norm, l1 and l2 are", base::in_quotes(norm)));
}

Pattern keep_of_group(std::string_view text, std::optional<int> keep, std::optional<int> group) {
  if (!keep || !group) refuse(text, "KEEP and GROUP must be whole numbers");
  if (*group != 4 && *group != 8 && *group != 16 && *group != 32)
    refuse(text, "the group must be 4, 8, 16 or 32");
  if (*keep < 1 || *keep >= *group)
    refuse(text, fmt::format("the group of {} can keep 1 to {}", *group, *group - 1));
  Pattern pattern;
  pattern.kind = PatternKind::n_m;
  pattern.keep = *keep;
  pattern.group = *group;
  return pattern;
}

Pattern block_of(std::string_view text, std::string_view size) {
  const auto sides = split(size, 'x');
  const auto rows = whole_number(sides[0]);
  const auto cols = sides.size() == 2 ? whole_number(sides[1]) : std::nullopt;
  if (!rows || !cols) refuse(text, "a block's size is two whole numbers, RxC");
  if (*rows < 1 || *cols < 1 || *rows > largest_side || *cols > largest_side) {
    refuse(text, fmt::format("a block's sides must be 1 to {}", largest_side));
  }
  Pattern pattern;
  pattern.kind = PatternKind::block;
  pattern.block_rows = *rows;
  pattern.block_cols = *cols;
  return pattern;
}

}  // namespace

Pattern parse_pattern(std::string_view text) {
  const auto parts = split(text, ':');
  if (text == "unstructured") return {};
  if (parts[0] == "row" || parts[0] == "block") {
    const std::size_t without_norm = parts[0] == "row" ? 1 : 2;
    if (parts.size() < without_norm) refuse(text, "a block needs its size");
    if (parts.size() > without_norm + 1) refuse(text, "too many parts");
    Pattern pattern;
    pattern.kind = PatternKind::row;
    if (parts[0] == "block") pattern = block_of(text, parts[1]);
    if (parts.size() > without_norm) pattern.norm = norm_from(text, parts.back());
    return pattern;
  }
  if (parts.size() == 2) return keep_of_group(text, whole_number(parts[0]), whole_number(parts[1]));
  refuse(text, "unknown");
}

std::string text_of(const Pattern& pattern) {
  const char* norm = pattern.norm == BlockNorm::l2 ? ":l2" : "";
  switch (pattern.kind) {
    case PatternKind::unstructured:
      return "unstructured";
    case PatternKind::n_m:
      return fmt::format("{}:{}", pattern.keep, pattern.group);
    case PatternKind::block:
      return fmt::format("block:{}x{}{}", pattern.block_rows, pattern.block_cols, norm);
    case PatternKind::row:
      return fmt::format("row{}", norm);
  }
  return "?";
}

namespace prune_detail {

void check(const PruneOptions& options) {
  parse_pattern(
      text_of(options.pattern));  // patterns can come from code too, and the rules stand in the parser
  if (options.pattern.kind == PatternKind::n_m) {
    const double follows = 1.0 - static_cast<double>(options.pattern.keep) / options.pattern.group;
    constexpr double typing = 5e-3;  // 0.67 for 2/3, say: what a person writes
    if (options.sparsity && !(std::abs(*options.sparsity - follows) <= typing)) {
      throw UsageError(
          fmt::format("sparsity {} contradicts the pattern {}, which prunes {}; leave the sparsity out",
                      *options.sparsity, text_of(options.pattern), follows));
    }
    if (options.scope == PruneScope::global) {
      throw UsageError(
          fmt::format("the pattern {} fixes the share of zeros in every group, so the global scope has "
                      "nothing to decide; use the layer scope",
                      text_of(options.pattern)));
    }
    return;
  }
  if (!options.sparsity) {
    throw UsageError(fmt::format("the pattern {} needs a sparsity, such as 0.7", text_of(options.pattern)));
  }
  if (*options.sparsity >= 1.0 && *options.sparsity < 100.0) {
    throw UsageError(fmt::format("sparsity {} is not a share below 1: for {} % write {}", *options.sparsity,
                                 *options.sparsity, *options.sparsity / 100.0));
  }
  if (!(*options.sparsity >= 0.0 && *options.sparsity < 1.0)) {
    throw UsageError(
        fmt::format("sparsity {} is not a share: it must be at least 0 and below 1", *options.sparsity));
  }
}

}  // namespace prune_detail
}  // namespace cross
