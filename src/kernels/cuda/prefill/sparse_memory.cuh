// What a CTA of the sparse product has in shared memory.
#pragma once

#include "kernels/cuda/prefill/sparse_tile.cuh"

namespace cross::kernels::cuda {

inline constexpr int sparse_gatherers = 3;  ///< warps beside the one that brings

/// Whether a source has further stages, whose columns of x are gathered (sparse_product.cuh).
template <class Source>
concept Gathers = requires(const typename Source::Params& params) {
  params.columns;
};

/// Addresses of a CTA's shared memory: the ring, outputs and exchanged sums, barriers.
template <class T, class Source, class Tile>
struct SparseMemory {
  std::uint32_t places, staging, exchange, barriers;
  __device__ SparseMemory(const PrefillParams<T, Source>& p, const std::byte* shared) {
    places = shared_address(shared);
    staging = places + static_cast<std::uint32_t>(p.x_places) * Tile::place_bytes;
    exchange = staging + Tile::staging_bytes;
    barriers = exchange + Tile::exchange_bytes;
  }
  __device__ std::uint32_t x(int place) const {
    return places + static_cast<std::uint32_t>(place) * Tile::place_bytes;
  }
  __device__ std::uint32_t w(int place, int group) const {
    return x(place) + Tile::chunk_bytes + static_cast<std::uint32_t>(group) * Source::stage_bytes;
  }
  __device__ std::uint32_t full(int place) const { return barriers + static_cast<std::uint32_t>(place) * 8; }
  __device__ std::uint32_t empty(int place) const { return full(prefill_most_places + place); }
  __device__ std::uint32_t sums() const { return full(2 * prefill_most_places); }
  /// Of the i-th further stage: that its place may be filled, and that its X is there.
  __device__ std::uint32_t wanted(int i) const {
    return full(2 * prefill_most_places + 2 * Tile::groups * 4 + i % prefill_most_places);
  }
  __device__ std::uint32_t gathered(int i) const {
    return wanted(i % prefill_most_places) + 8 * prefill_most_places;
  }
};

}  // namespace cross::kernels::cuda
