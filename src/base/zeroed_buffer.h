// Large zeroed memory that costs nothing until it is written.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>

namespace cross::base {

/// Owns `size` zero bytes, aligned for any scalar. Untouched pages are not backed by memory, unlike those of
/// a std::vector: a nearly empty matrix stays cheap. Throws std::bad_alloc.
class ZeroedBuffer {
 public:
  ZeroedBuffer() = default;
  explicit ZeroedBuffer(std::size_t size);

  std::byte* data() { return bytes_.get(); }
  std::span<const std::byte> bytes() const { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };

  std::unique_ptr<std::byte[], Free> bytes_;
  std::size_t size_ = 0;
};

}  // namespace cross::base
