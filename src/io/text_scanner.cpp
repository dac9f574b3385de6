#include "io/text_scanner.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>

#include "base/quote.h"
#include "cross/error.h"

namespace cross::io {

using base::in_quotes;

namespace {

/// std::from_chars takes no plus sign.
std::string_view without_plus(std::string_view number) {
  if (number.size() > 1 && number[0] == '+' && number[1] != '-') number.remove_prefix(1);
  return number;
}

}  // namespace

bool TextScanner::next_line() {
  if (rest_.empty()) return false;
  const std::size_t length = std::min(rest_.find('\n'), rest_.size());
  line_ = pending_ = rest_.substr(0, length);
  rest_.remove_prefix(std::min(length + 1, rest_.size()));
  ++line_number_;
  token_number_ = 0;
  commas_ = false;
  return true;
}

bool TextScanner::next_filled_line() {
  while (next_line())
    if (!at_line_end()) return true;
  return false;
}

void TextScanner::commas_separate() { commas_ = true; }

bool TextScanner::at_line_end() {
  while (!pending_.empty() && separates(pending_.front())) pending_.remove_prefix(1);
  return pending_.empty();
}

std::string_view TextScanner::token(std::string_view what) {
  ++token_number_;
  if (at_line_end()) fail(fmt::format("the line ends where {} should stand", what));
  std::size_t length = 0;
  while (length < pending_.size() && !separates(pending_[length])) ++length;
  const std::string_view found = pending_.substr(0, length);
  pending_.remove_prefix(length);
  return found;
}

std::int64_t TextScanner::integer(std::string_view what) {
  const std::string_view text = token(what);
  const std::string_view digits = without_plus(text);
  const char* const last = digits.data() + digits.size();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), last, value);
  if (error == std::errc::result_out_of_range)
    fail(fmt::format("{} {} does not fit 64 bits", what, in_quotes(text)));
  if (error != std::errc() || end != last)
    fail(fmt::format("{} is {}; it must be an integer", what, in_quotes(text)));
  return value;
}

float TextScanner::real(std::string_view what) {
  const std::string_view text = token(what);
  const std::string_view digits = without_plus(text);
  const char* const last = digits.data() + digits.size();
  float value = 0.0f;
  const auto [end, error] = std::from_chars(digits.data(), last, value);
  if (error == std::errc::invalid_argument || end != last)
    fail(fmt::format("{} is {}; it must be a number", what, in_quotes(text)));
  if (error == std::errc::result_out_of_range) {
    // Too small or too large? Only a wider type can tell.
    double wide = 0.0;
    const auto again = std::from_chars(digits.data(), last, wide);
    if (again.ec != std::errc() || std::fabs(wide) > 1.0)
      fail(fmt::format("{} {} is outside the range of fp32", what, in_quotes(text)));
    value = static_cast<float>(wide);
  }
  return value;
}

void TextScanner::expect_line_end(std::string_view after) {
  if (at_line_end()) return;
  ++token_number_;
  fail(fmt::format("more tokens than {}", after));
}

void TextScanner::fail(std::string_view message) const {
  if (line_number_ == 0) throw InputError(fmt::format("{}: {}", name_, message));
  const std::string place = token_number_ == 0 ? "" : fmt::format(", token {}", token_number_);
  throw InputError(fmt::format("{}: line {}{}: {}", name_, line_number_, place, message));
}

}  // namespace cross::io
