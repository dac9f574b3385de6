#include "model/key_value_cache.h"

#include <cstring>

#include "kernels/transformer/decoder_kernels.h"

namespace cross {

using kernels::key_panel;

DecoderCache::Impl::Impl(const model::CacheShape& given, std::int64_t most)
    : shape(given), capacity(most), memory(static_cast<std::size_t>(shape.layers) * layer_bytes()) {}

std::size_t DecoderCache::Impl::layer_bytes() const {
  const std::int64_t blocks = (capacity + key_panel - 1) / key_panel;
  return static_cast<std::size_t>(blocks * block_stride()) * size_of(shape.dtype);
}

std::int64_t DecoderCache::Impl::block_stride() const {
  return shape.heads * kernels::cache_block(shape.head_size);
}

const std::byte* DecoderCache::Impl::head(std::int64_t layer, std::int64_t head) const {
  return memory.bytes().data() + static_cast<std::size_t>(layer) * layer_bytes() +
         static_cast<std::size_t>(head * kernels::cache_block(shape.head_size)) * size_of(shape.dtype);
}

void DecoderCache::Impl::store(std::int64_t layer, std::int64_t head, std::int64_t token,
                               const std::byte* key, const std::byte* value) {
  const std::size_t size = size_of(shape.dtype);
  const std::int64_t within = token % key_panel;
  std::byte* block = memory.data() + static_cast<std::size_t>(layer) * layer_bytes() +
                     static_cast<std::size_t>(token / key_panel * block_stride() +
                                              head * kernels::cache_block(shape.head_size)) *
                         size;
  const auto scatter = [&](auto element) {
    for (std::int64_t d = 0; d < shape.head_size; ++d) {
      std::memcpy(&element, key + static_cast<std::size_t>(d) * sizeof element, sizeof element);
      std::memcpy(block + static_cast<std::size_t>(d * key_panel + within) * sizeof element, &element,
                  sizeof element);
    }
  };
  if (size == 2)
    scatter(std::uint16_t{});
  else
    scatter(std::uint32_t{});
  std::memcpy(block + static_cast<std::size_t>(shape.head_size * key_panel +
                                               within * kernels::padded_head(shape.head_size)) *
                          size,
              value, static_cast<std::size_t>(shape.head_size) * size);
}

}  // namespace cross
