// The memory behind a DecoderCache.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/zeroed_buffer.h"
#include "cross/decoder.h"
#include "cross/dtype.h"

namespace cross::model {

/// What two decoders must share to share a cache.
struct CacheShape {
  std::int64_t layers = 0, heads = 0, head_size = 0;
  DType dtype = DType::fp32;
  friend bool operator==(const CacheShape&, const CacheShape&) = default;
};

}  // namespace cross::model

namespace cross {

/// [layers, blocks of kernels::key_panel tokens, heads, one block of one head (kernels/transformer)]: what a
/// growing sequence touches is contiguous in every layer.
struct DecoderCache::Impl {
  Impl(const model::CacheShape& shape, std::int64_t capacity);

  /// The first block of a head.
  const std::byte* head(std::int64_t layer, std::int64_t head) const;
  /// Elements from one block of a head to its next.
  std::int64_t block_stride() const;
  /// Remembers one head of one token, which is counted when `tokens` is raised.
  void store(std::int64_t layer, std::int64_t head, std::int64_t token, const std::byte* key,
             const std::byte* value);
  std::size_t bytes() const { return memory.bytes().size(); }

  model::CacheShape shape;
  std::int64_t capacity = 0, tokens = 0;

 private:
  std::size_t layer_bytes() const;

  base::ZeroedBuffer memory;
};

}  // namespace cross
