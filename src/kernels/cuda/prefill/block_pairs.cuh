// Products of block_tiles matrices at many tokens: pairs of panels that share X.
//
//     Y[rows of two panels, tile tokens] = sum over their blocks of W[block] · X[its columns, tokens]
//
// A CTA has two warp groups that multiply, a panel each, and two warps that bring X and blocks. It walks
// through the block columns that either panel keeps, a *step* each: 64 columns of X come once, and a warp
// group that has no block there takes no part in the step. Outputs leave while the next tile is multiplied.
// The grid is persistent. A panel's sums are added in the order of its blocks: equal bits from run to run.
//
// What bounds it is what L2 delivers: at 80 % empty a step brings 42 KB, at up to 55 bytes a clock, and takes
// 645 clocks of the tensor cores. Without products it is as slow.
#pragma once

#include "kernels/cuda/prefill/block_schedule.cuh"
#include "kernels/cuda/prefill/pending_outputs.cuh"
#include "kernels/cuda/prefill/wgmma_shared.cuh"

namespace cross::kernels::cuda {

struct BlockPairTile {
  static constexpr int groups = 2, tokens = 256;
  static constexpr int eights = tokens / 8;
  static constexpr int threads = (groups + 1) * 128;
  static constexpr int few_registers = 40, many_registers = 232;
  static constexpr int x_places = 5, w_places = 6, pages = 4;
  static constexpr std::uint32_t chunk_bytes = tokens * 128;
  static constexpr std::uint32_t block_bytes = formats::gpu::block_tiles_block_bytes;
  static constexpr int staged_tokens = 64;
  static constexpr std::uint32_t staging_bytes = staged_tokens * 128;  ///< of a warp group
  static constexpr std::uint32_t page_bytes = 32 * 4 + 16;
};

/// Addresses of a CTA's shared memory.
struct BlockPairMemory {
  using Tile = BlockPairTile;
  static constexpr std::uint32_t w_at = Tile::x_places * Tile::chunk_bytes;
  static constexpr std::uint32_t staging_at = w_at + Tile::w_places * Tile::block_bytes;
  static constexpr std::uint32_t pages_at = staging_at + Tile::groups * Tile::staging_bytes;
  static constexpr std::uint32_t barriers_at = pages_at + Tile::pages * Tile::page_bytes;
  static constexpr int barriers = 2 * (Tile::x_places + Tile::w_places + Tile::pages);
  static constexpr std::uint32_t begun_at = barriers_at + barriers * 8;
  static constexpr std::size_t bytes = begun_at + 16;

  std::uint32_t base;

  __device__ std::uint32_t x(std::uint32_t place) const { return base + place * Tile::chunk_bytes; }
  __device__ std::uint32_t w(std::uint32_t place) const { return base + w_at + place * Tile::block_bytes; }
  __device__ std::uint32_t staging(int group) const {
    return base + staging_at + static_cast<std::uint32_t>(group) * Tile::staging_bytes;
  }
  /// 32 steps, then the token tile, count and end, and the two panels.
  __device__ std::uint32_t page(int place) const {
    return base + pages_at + static_cast<std::uint32_t>(place) * Tile::page_bytes;
  }
  __device__ std::uint32_t x_full(std::uint32_t place) const { return base + barriers_at + place * 8; }
  __device__ std::uint32_t x_empty(std::uint32_t place) const { return x_full(Tile::x_places + place); }
  __device__ std::uint32_t w_full(std::uint32_t place) const { return x_full(2 * Tile::x_places + place); }
  __device__ std::uint32_t w_empty(std::uint32_t place) const { return w_full(Tile::w_places + place); }
  __device__ std::uint32_t page_full(int place) const {
    return w_full(2 * Tile::w_places + static_cast<std::uint32_t>(place));
  }
  __device__ std::uint32_t page_empty(int place) const { return page_full(Tile::pages + place); }
  /// Fills begun of X, then of blocks: a warp group that takes no part in some of them would otherwise take
  /// the phase of an older fill of a place for the one that it waits for.
  __device__ std::uint32_t begun() const { return base + begun_at; }
  /// Bit of every round whose outputs had a NaN, the last for all from there on.
  __device__ std::uint32_t marked(int group) const {
    return base + begun_at + 8 + static_cast<std::uint32_t>(group) * 4;
  }
};

template <class T>
class BlockPairCta {
  using Source = BlockTilesSource;
  using Params = PrefillParams<T, Source>;
  using Tile = BlockPairTile;
  /// How a page ends: within a tile, with it, or as the last of all.
  enum End : std::uint32_t { in_tile, with_tile, with_all };

 public:
  __device__ BlockPairCta(const Params& params, BlockPairMemory memory)
      : p_(params), m_(memory), lane_(static_cast<int>(threadIdx.x & 31)) {}

  __device__ void prepare() const {
    for (std::uint32_t place = 0; place < Tile::x_places; ++place) {
      barrier_init(m_.x_full(place), 1);
      barrier_init(m_.x_empty(place), Tile::groups * 4);
    }
    for (std::uint32_t place = 0; place < Tile::w_places; ++place) {
      barrier_init(m_.w_full(place), 1);
      barrier_init(m_.w_empty(place), 4);
    }
    for (int place = 0; place < Tile::pages; ++place) {
      barrier_init(m_.page_full(place), 1);
      barrier_init(m_.page_empty(place), Tile::groups * 4);
    }
    for (std::uint32_t i = 0; i < 4; ++i) store_shared4(m_.begun() + 4 * i, 0);
    fence_barrier_init();
  }

  /// A warp brings X and tells the warp groups the steps, 32 to a page.
  __device__ void bring_x() const {
    if (lane_ == 0) prefetch_map(p_.x_map);
    RingPlace x, page;
    std::uint32_t begun = 0;
    StepWalk<Params> walk(p_, deal(), lane_);
    wait_for_predecessor();
    for (; walk.more(); walk.next()) {
      const int token = walk.token_tile() * Tile::tokens, count = walk.count();
      write_page(page, walk.word(), walk.token_tile(), count, walk.ends_tile() ? with_tile : in_tile,
                 walk.panel());
      std::uint32_t step = __shfl_sync(~0u, walk.word(), 0);
      for (int i = 0; i < count; ++i, x.next(Tile::x_places)) {
        const std::uint32_t step_after = __shfl_sync(~0u, walk.word(), (i + 1) & 31);
        if (elect_one()) {
          const auto place = static_cast<std::uint32_t>(x.place);
          wait_in_cluster(m_.x_empty(place), x.parity ^ 1);
          arrive_expecting(m_.x_full(place), Tile::chunk_bytes);
          copy_box(m_.x(place), p_.x_map, static_cast<int>(step >> 2) * Source::block_cols, token,
                   m_.x_full(place));
          store_shared_now(m_.begun(), ++begun);
          // For the warp group that has no block here.
          if ((step & 3) != 3) arrive_times(m_.x_empty(place), 4);
        }
        step = step_after;
      }
    }
    write_page(page, 0, 0, 0, with_all, 0);
  }

  /// A lane brings the blocks, in the order of the steps.
  __device__ void bring_blocks() const {
    RingPlace w;
    std::uint32_t begun = 0;
    const TileDeal tiles = deal();
    for (int round = 0; tiles.has(round); ++round) {
      const int pair = PrefillTurn(p_, tiles.tile(round)).row_tile;
      const std::byte* from[2];
#pragma unroll
      for (int i = 0; i < 2; ++i)
        if (2 * pair + i < p_.source.panels)
          from[i] = p_.source.values + static_cast<std::uint64_t>(
                                           __ldg(p_.source.begin + __ldg(p_.source.order + 2 * pair + i))) *
                                           Tile::block_bytes;
      const std::uint32_t last = __ldg(p_.source.first_step + pair + 1);
      for (std::uint32_t s = __ldg(p_.source.first_step + pair); s < last; ++s) {
        const std::uint32_t step = __ldg(p_.source.step + s);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          if ((step >> i & 1) == 0) continue;
          const auto place = static_cast<std::uint32_t>(w.place);
          wait_in_cluster(m_.w_empty(place), w.parity ^ 1);
          arrive_expecting(m_.w_full(place), Tile::block_bytes);
          copy_bytes(m_.w(place), from[i], Tile::block_bytes, m_.w_full(place));
          store_shared_now(m_.begun() + 4, ++begun);
          from[i] += Tile::block_bytes;
          w.next(Tile::w_places);
        }
      }
    }
  }

  /// A warp group multiplies a panel of every pair.
  __device__ void multiply() const {
    const int group = __shfl_sync(~0u, static_cast<int>(threadIdx.x >> 7), 0);
    Progress at;
    PendingOutputs<T, Tile> pending;
    float sums[Tile::eights][4];
    for (int round = 0;; ++round) {
#pragma unroll
      for (int e = 0; e < Tile::eights; ++e) sums[e][0] = sums[e][1] = sums[e][2] = sums[e][3] = 0.0f;
      Page page;
#pragma unroll 1
      do {
        page = next_page(at, group);
        if (page.end != with_all) multiply_page(page, at, sums, pending, group);
      } while (page.end == in_tile);
      if (page.end == with_all) break;
      while (pending.any()) pending.store_part(p_, m_.staging(group), group);
      if (page.panel < p_.source.panels &&
          pending.take(p_, sums, page.panel, page.token_tile * Tile::tokens, group) &&
          (threadIdx.x & 127) == 0)
        store_shared4(m_.marked(group), load_shared(m_.marked(group)) | 1u << min(round, 31));
    }
    while (pending.any()) pending.store_part(p_, m_.staging(group), group);
  }

  /// Outputs that came out NaN, summed up again from kept weights alone. Here and not where they are stored:
  /// a call there would have to leave its registers to the callee.
  __device__ void mend() const {
    const int group = static_cast<int>(threadIdx.x >> 7), thread = static_cast<int>(threadIdx.x & 127);
    if (thread == 0) wait_stored();
    sync_group(group + 1);
    const std::uint32_t marked = load_shared(m_.marked(group));
    const TileDeal tiles = deal();
    for (int round = 0; marked != 0 && tiles.has(round); ++round) {
      if ((marked >> min(round, 31) & 1) == 0) continue;
      const PrefillTurn turn(p_, tiles.tile(round));
      if (2 * turn.row_tile + group >= p_.source.panels) continue;
      const std::int64_t row =
          std::int64_t{p_.source.order[2 * turn.row_tile + group]} * prefill_panel_rows + (thread & 63);
      const int first = turn.token_tile * Tile::tokens, last = min(first + Tile::tokens, p_.tokens);
      for (std::int64_t token = first + (thread >> 6); row < p_.epilogue.rows && token < last; token += 2) {
        const float value = to_float(p_.epilogue.y[token * p_.epilogue.rows + row]);
        if (value != value)
          store_output(p_.epilogue, row, token,
                       Source::template exact<T>(p_.source, row, p_.x + token * p_.cols, p_.cols));
      }
    }
  }

 private:
  /// What a warp group has gone through: steps, blocks of both panels, pages.
  struct Progress {
    std::uint32_t steps = 0, blocks = 0;
    RingPlace page;
  };
  /// 32 steps. Of a lane's step: `mine` is twice the number of this warp group's block, and whether it has
  /// one.
  struct Page {
    std::uint32_t end, mine, blocks;
    int count, token_tile, panel;
  };
  /// A block and its step, by number; their places follow from it.
  struct Block {
    std::uint32_t step, number;
    bool held;
    __device__ std::uint32_t x_place() const { return step % Tile::x_places; }
    __device__ std::uint32_t x_parity() const { return step / Tile::x_places & 1; }
    __device__ std::uint32_t w_place() const { return number % Tile::w_places; }
    __device__ std::uint32_t w_parity() const { return number / Tile::w_places & 1; }
  };

  __device__ __forceinline__ void write_page(RingPlace& page, std::uint32_t word, int token_tile, int count,
                                             End end, std::uint32_t panel) const {
    if (lane_ == 0) wait_in_cluster(m_.page_empty(page.place), page.parity ^ 1);
    __syncwarp();
    const std::uint32_t at = m_.page(page.place);
    store_shared4(at + static_cast<std::uint32_t>(lane_) * 4, word);
    if (lane_ < 2) store_shared4(at + 136 + static_cast<std::uint32_t>(lane_) * 4, panel);
    if (lane_ == 0) {
      store_shared4(at + 128, static_cast<std::uint32_t>(token_tile));
      store_shared4(at + 132, static_cast<std::uint32_t>(count) | end << 8);
    }
    __syncwarp();
    if (lane_ == 0) arrive_here(m_.page_full(page.place));
    page.next(Tile::pages);
  }

  __device__ __forceinline__ Page next_page(Progress& at, int group) const {
    wait_in_cluster(m_.page_full(at.page.place), at.page.parity);
    const std::uint32_t from = m_.page(at.page.place);
    const std::uint32_t kept = load_shared(from + static_cast<std::uint32_t>(lane_) * 4) & 3;
    const uint2 head = load_shared8(from + 128);
    const std::uint32_t panel = load_shared(from + 136 + static_cast<std::uint32_t>(group) * 4);
    // Taken from one lane, so that the branches on them are known not to divide the warp.
    const std::uint32_t count_and_end = __shfl_sync(~0u, head.y, 0);
    Page page;
    page.token_tile = __shfl_sync(~0u, static_cast<int>(head.x), 0);
    page.count = static_cast<int>(count_and_end & 0xff);
    page.end = count_and_end >> 8;
    page.panel = __shfl_sync(~0u, static_cast<int>(panel), 0);
    __syncwarp();
    if (lane_ == 0) arrive_here(m_.page_empty(at.page.place));
    at.page.next(Tile::pages);
    auto upto = static_cast<std::uint32_t>(__popc(kept));  // blocks up to and with the lane's step
#pragma unroll
    for (int d = 1; d < 32; d *= 2) {
      const std::uint32_t other = __shfl_up_sync(~0u, upto, d);
      if (lane_ >= d) upto += other;
    }
    page.blocks = __shfl_sync(~0u, upto, 31);
    page.mine =
        2 * (at.blocks + upto - static_cast<std::uint32_t>(__popc(kept >> group))) | (kept >> group & 1);
    return page;
  }

  /// While a block is multiplied the next one is looked up, and outputs of the tile before leave.
  __device__ __forceinline__ void multiply_page(const Page& page, Progress& at,
                                                float (&sums)[Tile::eights][4],
                                                PendingOutputs<T, Tile>& pending, int group) const {
    std::uint32_t own = __ballot_sync(~0u, (page.mine & 1) != 0);
    const auto take = [&] {
      const int bit = __ffs(static_cast<int>(own)) - 1;
      own &= own - 1;
      return Block{at.steps + static_cast<std::uint32_t>(bit), __shfl_sync(~0u, page.mine, bit) >> 1, true};
    };
    if (own != 0) {
      Block now = take(), before{};  // tensor cores may still read what was before
      bool here = false;
#pragma unroll 1
      for (;;) {
        if (!here && !__all_sync(~0u, is_here(now))) {
          // Nothing to overlap with: what is held would keep the rings from turning.
          if (before.held) {
            wgmma_wait<0>();
            release(before);
          }
          wait_for(now);
        }
        multiply_block(now, sums);
        const bool more = own != 0;
        Block after{};
        if (more) after = take();
        here = more && __all_sync(~0u, is_here(after));
        if (pending.any()) pending.store_part(p_, m_.staging(group), group);
        wgmma_wait<1>();
        if (before.held) release(before);  // it has been read to its end
        before = now;
        if (!more) break;
        now = after;
      }
      wgmma_wait<0>();
#pragma unroll
      for (int e = 0; e < Tile::eights; ++e) hold_registers(sums[e]);
      release(before);
    }
    at.steps += static_cast<std::uint32_t>(page.count);
    at.blocks += page.blocks;
  }

  __device__ __forceinline__ void multiply_block(const Block& block, float (&sums)[Tile::eights][4]) const {
    wgmma_fence();
    const std::uint64_t a = swizzled_descriptor(m_.w(block.w_place()));
    const std::uint64_t b = swizzled_descriptor(m_.x(block.x_place()));
#pragma unroll
    for (int k = 0; k < formats::gpu::block_tiles_products; ++k)
      wgmma_shared<T>(sums, a + static_cast<std::uint64_t>(2 * k), b + static_cast<std::uint64_t>(2 * k));
    wgmma_commit();
  }

  __device__ __forceinline__ bool is_here(const Block& block) const {
    const uint2 begun = load_shared_now8(m_.begun());
    return begun.x > block.step && begun.y > block.number &&
           phase_done(m_.x_full(block.x_place()), block.x_parity()) &&
           phase_done(m_.w_full(block.w_place()), block.w_parity());
  }
  __device__ __forceinline__ void wait_for(const Block& block) const {
    for (uint2 begun{}; begun.x <= block.step || begun.y <= block.number;)
      begun = load_shared_now8(m_.begun());
    wait_in_cluster(m_.x_full(block.x_place()), block.x_parity());
    wait_in_cluster(m_.w_full(block.w_place()), block.w_parity());
  }
  /// What a block took may be filled again, as far as this warp is concerned.
  __device__ __forceinline__ void release(Block& block) const {
    __syncwarp();
    if (lane_ == 0) {
      arrive_here(m_.x_empty(block.x_place()));
      arrive_here(m_.w_empty(block.w_place()));
    }
    block.held = false;
  }
  __device__ __forceinline__ TileDeal deal() const {
    return TileDeal(p_.row_tiles * p_.token_tiles, static_cast<int>(gridDim.x), static_cast<int>(blockIdx.x));
  }

  const Params& p_;
  BlockPairMemory m_;
  int lane_;
};

/// Without bias, activation and residual, rows of y aligned to 16 bytes. Nothing between the branches and the
/// stores may be shared by them (a trap, say): ptxas would take the fewer registers for both.
template <class T>
__global__ void __launch_bounds__(BlockPairTile::threads, 1)
    block_pair_kernel(const __grid_constant__ PrefillParams<T, BlockTilesSource> p) {
  using Tile = BlockPairTile;
  extern __shared__ __align__(1024) std::byte shared[];
  const BlockPairCta<T> cta(p, {shared_address(shared)});
  let_successor_start();
  if (threadIdx.x == 0) cta.prepare();
  __syncthreads();
  if (threadIdx.x >= Tile::groups * 128) {
    lower_registers<Tile::few_registers>();
    const int warp = static_cast<int>(threadIdx.x >> 5) - Tile::groups * 4;
    if (warp == 0) {
      cta.bring_x();
    } else if (warp == 1) {
      if (elect_one()) cta.bring_blocks();
    }
  } else {
    raise_registers<Tile::many_registers>();
    wait_for_predecessor();
    cta.multiply();
  }
  if (threadIdx.x < Tile::groups * 128) cta.mend();
}

}  // namespace cross::kernels::cuda
