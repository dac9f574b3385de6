#include "io/npy_header.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/mapped_file.h"
#include "base/quote.h"
#include "cross/error.h"
#include "cross/model.h"
#include "io/stored_type.h"

namespace cross::io {
namespace {

using base::in_quotes;
using namespace std::string_view_literals;

/// Parses the Python dictionary {'descr': …, 'fortran_order': …, 'shape': …}.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& name) : text_(text), rest_(text), name_(name) {}

  void parse() {
    expect('{');
    while (!take('}')) {
      const std::string_view key = string("a key");
      expect(':');
      if (key == "descr" && !descr) {
        if (take('[')) fail("descr is a structured type; it must be '<f4' or '<f2'");
        descr = string("descr");
      } else if (key == "fortran_order" && !fortran_order) {
        fortran_order = boolean();
      } else if (key == "shape" && !shape) {
        shape = tuple();
      } else {
        fail(fmt::format("key {} is repeated or unknown; the keys are descr, fortran_order and shape",
                         in_quotes(key)));
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty()) fail(fmt::format("{} after the closing brace", in_quotes(rest_)));
    if (!descr || !fortran_order || !shape)
      fail("descr, fortran_order or shape is missing; all three must be there");
  }

  std::optional<std::string_view> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::int64_t>> shape;

  [[noreturn]] void fail(std::string_view message) const {
    throw InputError(
        fmt::format("{}: the header at byte {}: {}", name_, text_.size() - rest_.size(), message));
  }

 private:
  void skip_space() {
    while (!rest_.empty() && " \t\r\n"sv.find(rest_.front()) != std::string_view::npos)
      rest_.remove_prefix(1);
  }

  bool take(char c) {
    skip_space();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void expect(char c) {
    if (!take(c)) fail(fmt::format("expected '{}', found {}", c, in_quotes(rest_.substr(0, 1))));
  }

  std::string_view string(std::string_view what) {
    skip_space();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    const std::size_t end = quote == '\'' || quote == '"' ? rest_.find(quote, 1) : std::string_view::npos;
    if (end == std::string_view::npos) fail(fmt::format("{} must be a quoted string", what));
    const std::string_view value = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return value;
  }

  bool boolean() {
    skip_space();
    for (const auto& [word, value] : {std::pair{"True"sv, true}, {"False"sv, false}})
      if (rest_.starts_with(word)) {
        rest_.remove_prefix(word.size());
        return value;
      }
    fail("fortran_order must be True or False");
  }

  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!take(')')) {
      skip_space();
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
      if (error != std::errc() || value < 0) fail("shape must be a tuple of integers from 0 to 2^63-1");
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      values.push_back(value);
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return values;
  }

  std::string_view text_;
  std::string_view rest_;
  const std::string& name_;
};

/// The part of the file that holds the dictionary.
std::string_view header_of(std::string_view file, const std::string& name) {
  constexpr std::string_view magic = "\x93NUMPY";
  constexpr std::size_t longest = std::size_t{1} << 20;
  if (!file.starts_with(magic))
    throw InputError(fmt::format("{}: starts with {}; a .npy file starts with \"\\x93NUMPY\"", name,
                                 in_quotes(file.substr(0, magic.size()))));
  const auto byte = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(file[i])}; };
  const std::size_t major = file.size() > 7 ? byte(6) : 0;
  if (major < 1 || major > 3 || byte(7) != 0)
    throw InputError(fmt::format("{}: .npy format version {}.{}; known are 1.0, 2.0 and 3.0", name, major,
                                 file.size() > 7 ? byte(7) : 0));
  const std::size_t start = major == 1 ? 10 : 12;
  if (file.size() < start) throw InputError(fmt::format("{}: the file ends inside its header length", name));
  std::size_t length = 0;
  for (std::size_t i = start; i-- > 8;) length = length << 8 | byte(i);
  if (length > file.size() - start || length > longest)
    throw InputError(
        fmt::format("{}: header length {} runs past the end of the file or the limit of {} bytes", name,
                    length, longest));
  return file.substr(start, length);
}

}  // namespace

NpyArray read_npy_header(std::span<const std::byte> file, const std::string& name) {
  const std::string_view text = header_of(base::as_text(file), name);
  HeaderParser header(text, name);
  header.parse();

  NpyArray array;
  const std::string_view descr = *header.descr;
  if (descr.size() != 3 || (descr[0] != '<' && descr[0] != '>') ||
      (descr.substr(1) != "f4" && descr.substr(1) != "f2"))
    throw InputError(fmt::format(
        "{}: descr {} is not supported; it must be '<f4' or '<f2' (save array.astype(numpy.float32); "
        "bf16 needs a safetensors file)",
        name, in_quotes(descr)));
  array.half = descr[2] == '2';
  array.big_endian = descr[0] == '>';
  array.fortran_order = *header.fortran_order;
  array.shape = *std::move(header.shape);

  const auto bytes = checked_bytes(array.half ? StoredType::f16 : StoredType::f32, array.shape);
  array.bytes =
      file.subspan(static_cast<std::size_t>(text.data() - base::as_text(file).data()) + text.size());
  if (!bytes || *bytes != array.bytes.size())
    throw InputError(fmt::format("{}: shape ({}) of {} needs {} bytes; {} bytes follow the header", name,
                                 fmt::join(array.shape, ", "), in_quotes(descr),
                                 bytes ? std::to_string(*bytes) : "more than 2^64", array.bytes.size()));
  return array;
}

}  // namespace cross::io
