#include "text_lines.h"

#include <fmt/format.h>

#include <iostream>
#include <iterator>

#include "base/mapped_file.h"
#include "cross/error.h"
#include "model/tokenizer/unicode.h"

namespace cross::cli {
namespace {

std::string read_all(const std::string& path) {
  if (path == "-") return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  const base::MappedFile file(path);
  return std::string(base::as_text(file.bytes()));
}

std::string name_of(const std::string& path) { return path == "-" ? "standard input" : path; }

}  // namespace

std::vector<std::string> read_lines(const std::string& path) {
  const std::string text = read_all(path), name = name_of(path);
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string& line = lines.emplace_back(text, begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    if (const std::size_t bad = model::first_ill_formed(line); bad != std::string::npos)
      throw InputError(
          fmt::format("{}: line {} is not UTF-8 text (byte {} of the line); convert the file, for example "
                      "with iconv",
                      name, lines.size(), bad + 1));
    begin = end + 1;
  }
  if (lines.empty()) throw UsageError(fmt::format("{}: is empty; give one sentence a line", name));
  return lines;
}

std::string read_text(const std::string& path) {
  std::string text = read_all(path);
  if (const std::size_t bad = model::first_ill_formed(text); bad != std::string::npos)
    throw InputError(fmt::format("{}: is not UTF-8 text (byte {}); convert the file, for example with iconv",
                                 name_of(path), bad + 1));
  if (text.empty()) throw UsageError(fmt::format("{}: is empty; give some text", name_of(path)));
  return text;
}

void check_utf8(const std::string& text, const std::string& name) {
  if (const std::size_t bad = model::first_ill_formed(text); bad != std::string::npos)
    throw UsageError(fmt::format("{}: is not UTF-8 text (byte {})", name, bad + 1));
}

}  // namespace cross::cli
