// Sentences from a text file, one a line.
#pragma once

#include <string>
#include <vector>

namespace cross::cli {

/// Lines of a file, or of standard input for "-". A line that is empty is an empty sentence. UsageError if
/// there is no such file or no line in it; InputError, with the line's number, for text that is not UTF-8.
std::vector<std::string> read_lines(const std::string& path);

}  // namespace cross::cli
