// Where the program speaks: data on stdout, notes and errors on stderr.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace cross::cli {

/// Writes data to stdout. A reader that has gone is no error: what follows is dropped. InputError if the text
/// cannot be written for another reason (a full disk).
void print(std::string_view text);
/// The same, indented, with a line end; text that is not UTF-8 is replaced.
void print_json(const nlohmann::ordered_json& value);
/// Flushes stdout; errors as for `print`.
void finish_output();
/// Whether nobody reads stdout any more.
bool reader_has_gone();

/// One line on stderr.
void print_note(std::string_view text);
/// "cross: error: …" on stderr, in red on a terminal unless NO_COLOR is set.
void print_error(std::string_view text);

/// Whether stderr is a terminal that shows colours and moves its cursor.
bool interactive_stderr();
/// NO_COLOR is not set (https://no-color.org).
bool colours_allowed();

}  // namespace cross::cli
