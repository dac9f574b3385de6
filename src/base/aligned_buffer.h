// Memory aligned for kernels, reused between calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace cross::base {

class AlignedBuffer {
 public:
  /// `bytes` bytes at a multiple of 64. A call that asks for more than all before it moves the memory;
  /// contents are unspecified.
  std::span<std::byte> get(std::size_t bytes) {
    if (bytes_.size() < bytes + 64) bytes_.resize(bytes + 64);
    const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
    return {bytes_.data() + (64 - address % 64) % 64, bytes};
  }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace cross::base
