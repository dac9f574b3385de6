#include "plan_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/strict_json.h"
#include "cross/plan.h"

namespace cross::fuzz {
namespace {

using nlohmann::json;

std::string checksum(std::string_view bytes) {
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

std::size_t width_of(const json& dtype) {
  if (dtype == "F32" || dtype == "I32") return 4;
  return dtype == "BF16" || dtype == "F16" ? 2 : 1;
}

/// What the file's header says of a tensor: what `entry` does, or what tensors of that name have by rule.
json tensor_header(const std::string& name, const json& entry) {
  if (entry.is_object())
    return {{"dtype", entry.value("dtype", json())}, {"shape", entry.value("shape", json())}};
  const char* dtype = name.ends_with(".bias") ? "F32" : name.ends_with(".row_order") ? "I32" : "U8";
  const std::size_t size = entry.is_number_unsigned() ? entry.get<std::size_t>() : 0;
  return {{"dtype", dtype}, {"shape", {size / width_of(dtype)}}};
}

/// Bytes that a tensor of that header takes, at most `most`.
std::size_t bytes_of(const json& header, std::size_t most) {
  std::size_t bytes = width_of(header["dtype"]);
  if (!header["shape"].is_array()) return 0;
  for (const json& extent : header["shape"]) {
    const std::size_t factor = extent.is_number_unsigned() ? extent.get<std::size_t>() : 0;
    if (factor != 0 && bytes > most / factor) return most;
    bytes *= factor;
  }
  return std::min(bytes, most);
}

std::string make_file(std::string_view text, std::string_view data) {
  json description = base::parse_strict_json(text, "input");
  nlohmann::ordered_json header;
  header["__metadata__"] = json::object();
  std::string tensors;
  if (description.is_object() && description.contains("checksums") && description["checksums"].is_object())
    for (auto& [name, entry] : description["checksums"].items()) {
      if (name == "__metadata__" || (!entry.is_number_unsigned() && !entry.is_object())) continue;
      json tensor = tensor_header(name, entry);
      const std::string_view bytes = data.substr(0, bytes_of(tensor, data.size()));
      data.remove_prefix(bytes.size());
      // A tensor that the input is too short for has what is there.
      if (!entry.is_object()) tensor["shape"] = {bytes.size() / width_of(tensor["dtype"])};
      tensor["data_offsets"] = {tensors.size(), tensors.size() + bytes.size()};
      header[name] = tensor;
      tensors += bytes;
      entry = checksum(bytes);
    }
  const std::string final_text = description.dump(-1, ' ', true, json::error_handler_t::replace);
  header["__metadata__"] = {{"cross.plan_version", std::to_string(plan_version)},
                            {"cross.description", final_text},
                            {"cross.checksum", checksum(final_text)}};
  std::string head = header.dump(-1, ' ', true, json::error_handler_t::replace);
  head.append((64 - (8 + head.size()) % 64) % 64, ' ');
  const std::uint64_t length = head.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + head + tensors;
}

}  // namespace

std::string plan_file(std::span<const std::byte> input) {
  const std::string_view all(reinterpret_cast<const char*>(input.data()), input.size());
  if (!all.starts_with('{')) return std::string(all);
  const std::size_t end = std::min(all.find('\0'), all.size());
  return make_file(all.substr(0, end), all.substr(std::min(end + 1, all.size())));
}

}  // namespace cross::fuzz
