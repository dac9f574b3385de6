#include "io/safetensors_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <tuple>

#include "base/mapped_file.h"
#include "base/quote.h"
#include "base/strict_json.h"
#include "cross/error.h"
#include "io/stored_type.h"

namespace cross::io {
namespace {

static_assert(std::endian::native == std::endian::little, "weights are used as they lie in the file");

using base::in_quotes;
using nlohmann::json;

constexpr std::size_t length_bytes = 8;
constexpr std::uint64_t longest_header = 100'000'000;  // the limit of the reference implementation

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct Parsed {
  StoredTensor tensor;
  Range range;
};

std::string_view header_of(std::span<const std::byte> file, const std::string& name) {
  const auto text = base::as_text(file);
  if (text.starts_with("version https://git-lfs"))
    throw InputError(
        fmt::format("{}: a Git LFS pointer, not the weights; fetch them with `git lfs pull`", name));
  if (file.size() < length_bytes)
    throw InputError(fmt::format(
        "{}: {} bytes are too few; a safetensors file starts with the 8-byte length of its header", name,
        file.size()));
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  const std::uint64_t rest = file.size() - length_bytes;
  if (length == 0)
    throw InputError(fmt::format("{}: header length 0; even an empty header, {{}}, has 2 bytes", name));
  if (length > longest_header)
    throw InputError(
        fmt::format("{}: header length {} is above the limit of {} bytes; is this a safetensors file?", name,
                    length, longest_header));
  if (length > rest)
    throw InputError(
        fmt::format("{}: header length {} runs past the end of the file, {} bytes later; is it truncated?",
                    name, length, rest));
  const std::string_view header = text.substr(length_bytes, length);
  if (header.front() != '{')
    throw InputError(
        fmt::format("{}: the header starts with {}; it must be a JSON object and start with '{{'", name,
                    in_quotes(header.substr(0, 1))));
  return header;
}

/// The fields of one tensor's header entry.
class Entry {
 public:
  Entry(const std::string& file, const std::string& name, const json& fields)
      : where_(fmt::format("{}: tensor {}", file, in_quotes(name))), fields_(fields) {
    if (!fields.is_object())
      fail("is {} in the header; it must be an object with dtype, shape and data_offsets", shown(fields));
  }

  StoredType dtype() const {
    const json& value = field("dtype");
    if (!value.is_string()) fail("dtype is {}; it must be a string", shown(value));
    const auto& name = value.get_ref<const std::string&>();
    const auto type = stored_type_named(name);
    if (!type) fail("dtype {} is unknown; known are {}", in_quotes(name), stored_type_names());
    return *type;
  }

  std::vector<std::int64_t> shape() const {
    const json& value = field("shape");
    if (!value.is_array()) fail("shape is {}; it must be an array of integers", shown(value));
    std::vector<std::int64_t> shape;
    shape.reserve(value.size());
    for (const json& dimension : value) {
      constexpr std::uint64_t largest = std::numeric_limits<std::int64_t>::max();
      if (!dimension.is_number_unsigned() || dimension.get<std::uint64_t>() > largest)
        fail("shape has the dimension {}; it must be an integer from 0 to 2^63-1", shown(dimension));
      shape.push_back(dimension.get<std::int64_t>());
    }
    return shape;
  }

  Range data_offsets() const {
    const json& value = field("data_offsets");
    if (!value.is_array() || value.size() != 2 || !value[0].is_number_unsigned() ||
        !value[1].is_number_unsigned())
      fail("data_offsets is {}; it must be two integers, [begin, end], not below 0", shown(value));
    const Range range{value[0].get<std::uint64_t>(), value[1].get<std::uint64_t>()};
    if (range.end < range.begin)
      fail("data_offsets [{}, {}] run backwards; the end must not be before the start", range.begin,
           range.end);
    return range;
  }

  template <typename... Values>
  [[noreturn]] void fail(fmt::format_string<Values...> format, Values&&... values) const {
    throw InputError(where_ + ": " + fmt::format(format, std::forward<Values>(values)...));
  }

 private:
  const json& field(const char* key) const {
    const auto found = fields_.find(key);
    if (found == fields_.end()) fail("has no {}; every tensor needs dtype, shape and data_offsets", key);
    return *found;
  }

  static std::string shown(const json& value) {
    constexpr std::size_t most_items = 8;
    if (value.is_structured() && value.size() > most_items)
      return fmt::format("an {} of {} items", value.type_name(), value.size());
    constexpr std::size_t longest = 60;
    const std::string text = value.dump(-1, ' ', true);
    return text.size() <= longest ? text : text.substr(0, longest) + "…";
  }

  std::string where_;
  const json& fields_;
};

Parsed parse_tensor(const std::string& file, const std::string& name, const json& fields) {
  const Entry entry(file, name, fields);
  Parsed parsed;
  parsed.tensor.name = name;
  parsed.tensor.type = entry.dtype();
  parsed.tensor.shape = entry.shape();
  parsed.range = entry.data_offsets();
  const auto bytes = checked_bytes(parsed.tensor.type, parsed.tensor.shape);
  const auto [begin, end] = parsed.range;
  if (!bytes)
    entry.fail("shape [{}] of {} has more bytes than 64 bits can count", fmt::join(parsed.tensor.shape, ", "),
               name_of(parsed.tensor.type));
  if (*bytes != end - begin)
    entry.fail("data_offsets [{}, {}] span {} bytes; shape [{}] of {} needs {}", begin, end, end - begin,
               fmt::join(parsed.tensor.shape, ", "), name_of(parsed.tensor.type), *bytes);
  return parsed;
}

std::map<std::string, std::string> parse_metadata(const std::string& file, const json& object) {
  if (!object.is_object())
    throw InputError(fmt::format("{}: __metadata__ must be an object of strings", file));
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string())
      throw InputError(fmt::format("{}: __metadata__ {} is {}; its values must be strings", file,
                                   in_quotes(key), value.type_name()));
    metadata.emplace(key, value.get_ref<const std::string&>());
  }
  return metadata;
}

/// Tensors sorted by their offsets must cover the data without holes, overlaps or rest.
void check_coverage(const std::vector<Parsed>& sorted, std::uint64_t data_bytes, const std::string& file) {
  std::uint64_t covered = 0;
  const std::string* previous = nullptr;
  for (const Parsed& parsed : sorted) {
    const StoredTensor& tensor = parsed.tensor;
    const Range& range = parsed.range;
    const auto where = [&] {
      return fmt::format("{}: tensor {}: data_offsets [{}, {}]", file, in_quotes(tensor.name), range.begin,
                         range.end);
    };
    if (range.end > data_bytes)
      throw InputError(fmt::format("{} run past the end of the data, {} bytes; is the file truncated?",
                                   where(), data_bytes));
    if (range.begin > covered)
      throw InputError(fmt::format("{} leave a hole; the tensor must start at {}", where(), covered));
    if (range.begin < covered)
      throw InputError(
          fmt::format("{} overlap tensor {}, which ends at {}", where(), in_quotes(*previous), covered));
    covered = range.end;
    previous = &tensor.name;
  }
  if (covered != data_bytes)
    throw InputError(fmt::format("{}: {} bytes after the last tensor; the file must end with it", file,
                                 data_bytes - covered));
}

}  // namespace

SafetensorsContents read_safetensors(std::span<const std::byte> file, const std::string& name) {
  const std::string_view text = header_of(file, name);
  const auto data = file.subspan(length_bytes + text.size());
  const json header = base::parse_strict_json(text, name + ": the header");

  SafetensorsContents contents;
  std::vector<Parsed> parsed;
  for (const auto& [key, value] : header.items()) {
    if (key == "__metadata__") {
      contents.metadata = parse_metadata(name, value);
    } else {
      parsed.push_back(parse_tensor(name, key, value));
    }
  }
  std::stable_sort(parsed.begin(), parsed.end(), [](const Parsed& a, const Parsed& b) {
    return std::tie(a.range.begin, a.range.end) < std::tie(b.range.begin, b.range.end);
  });
  check_coverage(parsed, data.size(), name);

  contents.tensors.reserve(parsed.size());
  for (auto& [tensor, range] : parsed) {
    tensor.bytes = data.subspan(range.begin, range.end - range.begin);
    contents.tensors.push_back(std::move(tensor));
  }
  return contents;
}

}  // namespace cross::io
