#include "io/safetensors_writer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cross/error.h"
#include "io/stored_type.h"

namespace cross::io {

SafetensorsPrefix safetensors_prefix(const std::vector<TensorHeader>& tensors,
                                     const std::map<std::string, std::string>& metadata,
                                     std::size_t alignment) {
  if (alignment == 0) throw InternalError("safetensors_prefix: alignment 0");
  SafetensorsPrefix prefix;
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  for (const TensorHeader& tensor : tensors) {
    if (tensor.name == "__metadata__" || header.contains(tensor.name))
      throw InternalError(fmt::format("safetensors_prefix: the name {} is taken", tensor.name));
    const auto bytes = checked_bytes(tensor.type, tensor.shape);
    const std::uint64_t begin = prefix.data_bytes;
    if (!bytes || __builtin_add_overflow(begin, *bytes, &prefix.data_bytes))
      throw InternalError(fmt::format("safetensors_prefix: tensor {} overflows 64 bits", tensor.name));
    header[tensor.name] = {{"dtype", name_of(tensor.type)},
                           {"shape", tensor.shape},
                           {"data_offsets", {begin, prefix.data_bytes}}};
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  constexpr std::size_t length_bytes = 8;
  const std::size_t over = (length_bytes + text.size()) % alignment;
  if (over != 0) text.append(alignment - over, ' ');
  const std::uint64_t length = text.size();
  prefix.text.assign(reinterpret_cast<const char*>(&length), length_bytes);
  prefix.text += text;
  return prefix;
}

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, const std::vector<TensorHeader>& tensors,
                                     const std::map<std::string, std::string>& metadata,
                                     std::size_t alignment)
    : file_(path) {
  const SafetensorsPrefix prefix = safetensors_prefix(tensors, metadata, alignment);
  expected_ = prefix.data_bytes;
  file_.write(prefix.text);
}

void SafetensorsWriter::append(std::span<const std::byte> bytes) {
  written_ += bytes.size();
  if (written_ > expected_)
    throw InternalError(fmt::format("SafetensorsWriter: {} bytes for tensors of {}", written_, expected_));
  file_.write(bytes);
}

void SafetensorsWriter::commit() {
  if (written_ != expected_)
    throw InternalError(fmt::format("SafetensorsWriter: {} bytes for tensors of {}", written_, expected_));
  file_.commit();
}

}  // namespace cross::io
