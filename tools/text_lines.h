// Sentences from a text file, one a line.
#pragma once

#include <string>
#include <vector>

namespace cross::cli {

/// Lines of a file, or of standard input for "-". A line that is empty is an empty sentence. UsageError if
/// there is no such file or no line in it; InputError, with the line's number, for text that is not UTF-8.
std::vector<std::string> read_lines(const std::string& path);

/// The whole of a text file, or of standard input for "-". InputError if it is not UTF-8, UsageError if it is
/// empty.
std::string read_text(const std::string& path);

/// UsageError, starting with `name`, unless `text` is UTF-8.
void check_utf8(const std::string& text, const std::string& name);

}  // namespace cross::cli
