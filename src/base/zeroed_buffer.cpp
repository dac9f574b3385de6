#include "base/zeroed_buffer.h"

#include <new>

namespace cross::base {

ZeroedBuffer::ZeroedBuffer(std::size_t size) : size_(size) {
  if (size == 0) return;
  bytes_.reset(static_cast<std::byte*>(std::calloc(size, 1)));
  if (!bytes_) throw std::bad_alloc();
}

}  // namespace cross::base
