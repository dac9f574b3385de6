// Reading arrays out of a packed blob, for checks and decoders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "plan/formats/gpu/packed.h"

namespace cross::formats::gpu {

template <class Header>
Header read_header(std::span<const std::byte> blob) {
  Header header;
  std::memcpy(static_cast<void*>(&header), blob.data(), sizeof header);
  return header;
}

/// Element `index` of the array at `offset`; blobs start at multiples of 64 bytes, arrays at multiples of
/// 128.
template <class T>
T element(std::span<const std::byte> blob, std::uint64_t offset, std::uint64_t index) {
  T value;
  std::memcpy(&value, blob.data() + offset + index * sizeof(T), sizeof(T));
  return value;
}

/// Whether `count` elements of `size` bytes at `offset` lie inside the blob, aligned.
inline bool array_fits(std::span<const std::byte> blob, std::uint64_t offset, std::uint64_t count,
                       std::size_t size) {
  return offset % 128 == 0 && offset <= blob.size() && count <= (blob.size() - offset) / size;
}

}  // namespace cross::formats::gpu
