// Numbers of a text file, line by line, with positions for messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cross::io {

/// Walks over the lines of a text and the tokens of each line. Tokens are separated by spaces, tabs and
/// carriage returns (so CRLF files read alike), and by commas where asked. `name` stands in messages.
class TextScanner {
 public:
  TextScanner(std::string_view text, std::string name) : rest_(text), name_(std::move(name)) {}

  /// Goes to the next line; false at the end of the text.
  bool next_line();
  /// Goes to the next line that has a token.
  bool next_filled_line();
  std::string_view line() const { return line_; }
  /// Makes commas separate the tokens of the current line.
  void commas_separate();

  bool at_line_end();
  /// The next token of the line; `what` names it in the error if there is none.
  std::string_view token(std::string_view what);
  std::int64_t integer(std::string_view what);
  /// A decimal number, nan or inf. Numbers too small for fp32 become zero; too large ones, and any outside
  /// the range of fp64, are refused.
  float real(std::string_view what);
  /// Refuses further tokens in the line.
  void expect_line_end(std::string_view after);

  /// Throws InputError: "name: line 2, token 17: message".
  [[noreturn]] void fail(std::string_view message) const;

 private:
  bool separates(char c) const { return c == ' ' || c == '\t' || c == '\r' || (commas_ && c == ','); }

  std::string_view rest_;     // lines to come
  std::string_view line_;     // the current line, whole
  std::string_view pending_;  // what of it is not yet read
  std::string name_;
  std::uint64_t line_number_ = 0;
  std::uint64_t token_number_ = 0;
  bool commas_ = false;
};

}  // namespace cross::io
