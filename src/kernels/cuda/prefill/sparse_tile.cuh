// The sizes that an instance of the sparse product is made for.
#pragma once

#include "kernels/cuda/prefill/tile.cuh"
#include "plan/formats/gpu/two_four.h"

namespace cross::kernels::cuda {

/// As PrefillTile, with one ring: a place holds 64 columns of X and of every panel's weights.
template <int groups_, int tokens_, int splits_>
struct SparseTile : PrefillTile<groups_, tokens_, splits_> {
  using Base = PrefillTile<groups_, tokens_, splits_>;
  static constexpr bool deals_blocks = false;
  static constexpr std::uint32_t brought_bytes =
      Base::chunk_bytes + groups_ * formats::gpu::two_four_tile_bytes;
  static constexpr std::uint32_t place_bytes = (brought_bytes + 1023) / 1024 * 1024;
  /// One place of outputs a panel where that gives the ring its fifth place.
  static constexpr int staging_places = tokens_ > 128 ? 1 : Base::staging_places;
  static constexpr std::uint32_t group_staging_bytes = staging_places * Base::staged_tokens * 128;
  static constexpr std::uint32_t staging_bytes = groups_ * group_staging_bytes;
  /// Little room for exchanged sums where a place is large: the ring needs four.
  static constexpr int exchanged_eights =
      prefill_exchanged_eights(groups_, Base::own_eights, splits_, (tokens_ > 128 ? 32 : 64) * 1024);
  static constexpr int exchange_rounds = Base::own_eights / exchanged_eights;
  static constexpr std::uint32_t exchange_bytes = (splits_ - 1) * groups_ * 4 * exchanged_eights * 512;
};

}  // namespace cross::kernels::cuda
