#include "io/safetensors_writer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cross/error.h"
#include "io/stored_type.h"

namespace cross::io {

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, std::vector<TensorHeader> tensors,
                                     const std::map<std::string, std::string>& metadata,
                                     std::size_t alignment)
    : file_(path) {
  if (alignment == 0) throw InternalError("SafetensorsWriter: alignment 0");
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  for (const TensorHeader& tensor : tensors) {
    if (tensor.name == "__metadata__" || header.contains(tensor.name))
      throw InternalError(fmt::format("SafetensorsWriter: the name {} is taken", tensor.name));
    const auto bytes = checked_bytes(tensor.type, tensor.shape);
    const std::uint64_t begin = expected_;
    if (!bytes || __builtin_add_overflow(begin, *bytes, &expected_))
      throw InternalError(fmt::format("SafetensorsWriter: tensor {} overflows 64 bits", tensor.name));
    header[tensor.name] = {
        {"dtype", name_of(tensor.type)}, {"shape", tensor.shape}, {"data_offsets", {begin, expected_}}};
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  constexpr std::size_t length_bytes = 8;
  const std::size_t over = (length_bytes + text.size()) % alignment;
  if (over != 0) text.append(alignment - over, ' ');
  const std::uint64_t length = text.size();
  file_.write(std::as_bytes(std::span(&length, 1)));
  file_.write(text);
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
