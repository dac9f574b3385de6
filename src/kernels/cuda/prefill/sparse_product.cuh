// The prefill product of 2:4 weights: Hopper's sparse tensor cores read weights and X from shared memory,
// where the copy engine has put them as they lie in memory. Nothing but metadata passes through a lane's
// registers.
//
//     Y[panel rows, tile tokens] = sum over K of W[rows, k] · X[k, tokens]
//
// A CTA has Tile::groups warp groups that multiply, a panel of 64 rows each, and a lane that brings, a
// *stage* of 64 columns at a time, X and each panel's weights into one place of a ring. CTAs of a cluster
// work on the same tokens of neighbouring row tiles and copy every part of X to all of them, or on parts of
// one tile's K, whose sums they exchange at its end. The grid is persistent. Every sum is added in an order
// that the launch alone decides: equal bits from run to run.
//
// A source may have *further* stages, whose 64 columns each row tile names. Three warps beside the
// bringing lane gather them, 16 bytes a lane, from a copy of x column by column, and so tensor cores take
// them. A kernel in front makes that copy, or all CTAs together before they need it (sparse_gather.cuh).
//
// What it asks of a weight format, a class of static functions:
//
//   struct Source {
//     struct Params;  // by value in the kernel's parameters: `panels`, and what the format needs
//     static constexpr std::uint32_t stage_bytes;  // of a panel: kept weights at multiples of 512, metadata
//     static __device__ int own_stages(const Params&);
//     // Where a panel's stages lie, asked for one after the other.
//     struct Feed {
//       __device__ void begin(const Params&, int panel, int stage);
//       __device__ const std::byte* next();
//     };
//     static __device__ std::uint32_t metadata_at(int warp, int lane);  // of the lane's word in a stage
//     template <class T> static __device__ float exact(…);  // as in source.cuh
//   };
//
// Where Params has `columns` (transpose_columns.h), further stages of a row tile of two panels; CTAs that
// share X must have equally many:
//
//     static __device__ int further_stages(const Params&, int row_tile);
//     static __device__ std::int64_t further_stage(const Params&, int row_tile);  // the first
//
// and Params `further_tiles` (stage_bytes each, two a stage), `column` ([stages][64]), `lifted` (a bit for
// every column that is named) and `turning` (turn_columns.cuh).
//
// What bounds it: docs/gpu/two_four.md and docs/gpu/two_four_overflow.md.
#pragma once

#include "kernels/cuda/prefill/outputs.cuh"
#include "kernels/cuda/prefill/sparse_gather.cuh"
#include "kernels/cuda/prefill/wgmma_sparse.cuh"

namespace cross::kernels::cuda {

template <class T, class Source, class Tile>
class SparseCta : public SparseWork<T, Source, Tile> {
  using Base = SparseWork<T, Source, Tile>;
  using Base::gathers, Base::p_, Base::m_, Base::lane_, Base::split_, Base::share_;
  using Base::tile_of, Base::row_tile_of, Base::stages_of;
  using typename Base::Further;
  using typename Base::Memory;
  /// Places whose weights are asked for before X: copies come in turn, and more of them would hold X up.
  static constexpr int weights_ahead = 2;

 public:
  __device__ SparseCta(const PrefillParams<T, Source>& params, const Memory& memory, std::byte* shared)
      : Base(params, memory), shared_(shared) {
    const int shift = p_.sharers - 1;
    first_token_ = share_ * (Tile::tokens >> shift);
    x_part_ = static_cast<std::uint32_t>(first_token_) * (2 * prefill_chunk_cols);
    x_ctas_ = static_cast<std::uint16_t>(((1 << p_.sharers) - 1) << (split_ << shift));
    released_ = in_cta(m_.empty(0), split_ * p_.sharers + (lane_ < p_.sharers ? lane_ : 0));
  }

  /// Registers of a thread, of the warp group that brings and of those that multiply.
  static constexpr int few_registers = gathers ? 104 : Tile::few_registers;
  static constexpr int many_registers =
      gathers ? (Tile::launch_registers * Tile::threads - few_registers * 128) / (Tile::groups * 128) / 8 * 8
              : Tile::many_registers;

  __device__ __forceinline__ void prepare() const {
    for (int place = 0; place < prefill_most_places; ++place)
      barrier_init(m_.empty(place), p_.sharers * Tile::groups * 4);
    if constexpr (Tile::splits > 1) SumExchange<Tile>::prepare(m_.sums());
    if constexpr (gathers)
      for (int i = 0; i < prefill_most_places; ++i) {
        barrier_init(m_.wanted(i), 1);
        barrier_init(m_.gathered(i), sparse_gatherers * 32);
      }
    fence_barrier_init();
  }

  /// The lane that brings asks at once for the weights of the first places: no kernel writes them, so they
  /// wait for none.
  /// @return how many places
  __device__ __forceinline__ int begin() const {
    for (int place = 0; place < prefill_most_places; ++place) barrier_init(m_.full(place), 1);
    fence_barrier_init();
    fence_async_proxy();
    int ahead = 0;
    if (const int tile = tile_of(0); tile < p_.last) {
      const int row_tile = row_tile_of(PrefillTurn(p_, tile));
      const int own = Source::own_stages(p_.source);
      Feeds feeds(p_, row_tile, SparseStages(own, 0, split_, Tile::splits).first);
      const auto ask = [&](int place) {
        arrive_expecting(m_.full(place), Tile::brought_bytes);
        bring_weights(feeds, place);
      };
      // The first stage is an own one: it need not wait until it is known how many further ones there are.
      ask(0);
      ahead = min(stages_of(row_tile, 0).own_before(0), weights_ahead);
#pragma unroll 1
      for (int place = 1; place < ahead; ++place) ask(place);
    }
    return ahead;
  }

  /// One lane brings weights and this CTA's part of X, to all that share it.
  /// @param ahead  places whose weights are on their way
  __device__ __forceinline__ void bring(int ahead) const {
    RingPlace ring;
    int brought = 0;  // further stages
    for (int round = 0, tile = tile_of(0); tile < p_.last; tile = tile_of(++round)) {
      const PrefillTurn turn(p_, tile);
      const int row_tile = row_tile_of(turn);
      const int token = turn.token_tile * Tile::tokens + first_token_;
      const SparseStages stages = stages_of(row_tile, round);
      int stage = stages.first, own = stages.own_before(0);
#pragma unroll 1
      for (; ahead > 0; --ahead, --own, ++stage, ring.next(p_.x_places)) bring_x(stage, token, ring.place);
      Feeds feeds(p_, row_tile, stage);
#pragma unroll 1
      for (int i = 0;; own = stages.own_before(++i)) {
#pragma unroll 1
        for (; own > 0; --own, ++stage, ring.next(p_.x_places)) {
          wait_in_cluster(m_.empty(ring.place), ring.parity ^ 1);
          arrive_expecting(m_.full(ring.place), Tile::brought_bytes);
          bring_x(stage, token, ring.place);
          bring_weights(feeds, ring.place);
        }
        if (i == stages.further) break;
        if constexpr (gathers) {
          wait_in_cluster(m_.empty(ring.place), ring.parity ^ 1);
          arrive_here(m_.wanted(brought++));
          bring_further(Further(p_.source, row_tile).stage(stages.further_first + i), ring.place);
          ring.next(p_.x_places);
        }
      }
    }
  }

  /// A warp group multiplies a panel.
  __device__ void multiply() const {
    const int group = __shfl_sync(~0u, static_cast<int>(threadIdx.x >> 7), 0);
    const int warp = static_cast<int>(threadIdx.x >> 5 & 3);
    SumExchange<Tile> exchange(m_.exchange, m_.sums(), group * 4 + warp, lane_, split_, p_.sharers,
                               split_ * p_.sharers + share_);
    std::byte* staging = shared_ + (m_.staging - m_.places) + group * Tile::group_staging_bytes;
    RingPlace now, released;
    int multiplied = 0;  // further stages
    float sums[Tile::eights][4];
    std::uint32_t metadata[2] = {};
    for (int round = 0, tile = tile_of(0); tile < p_.last; tile = tile_of(++round)) {
      const PrefillTurn turn(p_, tile);
      const int row_tile = row_tile_of(turn);
      const SparseStages stages = stages_of(row_tile, round);
#pragma unroll
      for (int e = 0; e < Tile::eights; ++e) sums[e][0] = sums[e][1] = sums[e][2] = sums[e][3] = 0.0f;
      if constexpr (gathers) {
        bool later = false;
        const Further further(p_.source, row_tile);
        const int panel = row_tile * Tile::groups + group;
        const auto takes = [&](int i) { return further.has(stages.further_first + i, panel); };
        for (int i = 0;; ++i) {
#pragma unroll 1
          for (int pairs = stages.pairs_before(i); pairs > 0; --pairs) {
            multiply_stage<0>(sums, metadata, now, released, group, warp, later);
            multiply_stage<1>(sums, metadata, now, released, group, warp, true);
            later = true;
          }
          if (i == stages.mixed) break;
          multiply_stage<0>(sums, metadata, now, released, group, warp, later);
          multiply_further<1>(sums, metadata, now, released, panel % 2, warp, multiplied++, takes(i));
          later = true;
        }
        if (stages.odd()) multiply_stage<0>(sums, metadata, now, released, group, warp, later);
        end_products(metadata);
#pragma unroll 1
        for (int i = stages.mixed; i < stages.further; ++i) {
          multiply_further<0>(sums, metadata, now, released, panel % 2, warp, multiplied++, takes(i));
          end_products(metadata);
        }
      } else {  // the same without further stages: with the loop above 1 % slower
#pragma unroll 1
        for (int stage = 0; stage < stages.own; stage += 2) {
          multiply_stage<0>(sums, metadata, now, released, group, warp, stage > 0);
          if (stage + 1 < stages.own) multiply_stage<1>(sums, metadata, now, released, group, warp, true);
        }
        end_products(metadata);
      }
#pragma unroll
      for (int e = 0; e < Tile::eights; ++e) hold_registers(sums[e]);
      if (stages.own > 0) release(released);
      const std::int64_t panel = static_cast<std::int64_t>(row_tile) * Tile::groups + group;
      const std::int64_t token = static_cast<std::int64_t>(turn.token_tile) * Tile::tokens;
      if constexpr (Tile::splits > 1) {
        float own[Tile::own_eights][4];
        exchange.add_up(sums, own, tile_of(round + 1) >= p_.last);
        store_panel<T, Source, Tile>(p_, own, panel, token + split_ * Tile::own_eights * 8, staging, group);
      } else {
        store_panel<T, Source, Tile>(p_, sums, panel, token, staging, group);
      }
    }
  }

 private:
  /// Where the weights of a row tile's panels lie, from a stage on. Past the last panel the last one is
  /// multiplied again, for outputs that nobody stores.
  struct Feeds {
    typename Source::Feed feed[Tile::groups];
    __device__ __forceinline__ Feeds(const PrefillParams<T, Source>& p, int row_tile, int first) {
#pragma unroll
      for (int group = 0; group < Tile::groups; ++group)
        feed[group].begin(p.source, min(row_tile * Tile::groups + group, p.source.panels - 1), first);
    }
  };
  __device__ __forceinline__ void bring_weights(Feeds& feeds, int place) const {
#pragma unroll
    for (int group = 0; group < Tile::groups; ++group)
      copy_bytes(m_.w(place, group), feeds.feed[group].next(), Source::stage_bytes, m_.full(place));
  }
  /// This CTA's part of an own stage's X.
  __device__ __forceinline__ void bring_x(int stage, int token, int place) const {
    const std::uint32_t x = m_.x(place), full = m_.full(place);
    if (p_.sharers > 1)
      copy_box_to_all(x + x_part_, p_.x_map, stage * prefill_chunk_cols, token, full, x_ctas_);
    else
      copy_box(x, p_.x_map, stage * prefill_chunk_cols, token, full);
  }
  __device__ __forceinline__ void bring_further(std::int64_t stage, int place) const {
    constexpr std::uint32_t bytes = 2 * Source::stage_bytes;
    const std::uint32_t full = m_.full(place);
    arrive_expecting(full, bytes);
    copy_bytes(m_.w(place, 0), p_.source.further_tiles + stage * bytes, bytes, full);
  }

  __device__ __forceinline__ void end_products(const std::uint32_t (&metadata)[2]) const {
    wgmma_wait<0>();
    hold_metadata(metadata[0]);
    hold_metadata(metadata[1]);
  }

  /// The products of a stage. Once they are on their way those of the stage before have ended, and its place
  /// is given back.
  /// @param later  not the first stage of its tile
  template <int parity>
  __device__ __forceinline__ void multiply_stage(float (&sums)[Tile::eights][4], std::uint32_t (&metadata)[2],
                                                 RingPlace& now, RingPlace& released, int group, int warp,
                                                 bool later) const {
    wait_in_cluster(m_.full(now.place), now.parity);
    const std::uint32_t w = m_.w(now.place, group);
    metadata[parity] = load_shared(w + Source::metadata_at(warp, lane_));
    const std::uint64_t a = kept_weights_descriptor(w), b = swizzled_descriptor(m_.x(now.place));
    now.next(p_.x_places);
    wgmma_fence();
    wgmma_sparse<T, 0>(sums, a, metadata[parity], b);
    wgmma_sparse<T, 1>(sums, a + 2, metadata[parity], b + 4);
    wgmma_commit();
    wgmma_wait<1>();
    hold_metadata(metadata[parity ^ 1]);
    if (later) release(released);
  }

  /// The same of a further stage, if the panel has a part in it.
  template <int parity>
  __device__ __forceinline__ void multiply_further(float (&sums)[Tile::eights][4],
                                                   std::uint32_t (&metadata)[2], RingPlace& now,
                                                   RingPlace& released, int part, int warp, int i,
                                                   bool takes) const {
    wait_in_cluster(m_.full(now.place), now.parity);
    if (takes) {
      wait_in_cluster(m_.gathered(i), static_cast<std::uint32_t>(i / prefill_most_places & 1));
      fence_async_proxy();
      const std::uint32_t w = m_.w(now.place, part);
      metadata[parity] = load_shared(w + Source::metadata_at(warp, lane_));
      const std::uint64_t a = kept_weights_descriptor(w), b = columns_descriptor(m_.x(now.place));
      wgmma_fence();
      wgmma_sparse<T, 0, 1>(sums, a, metadata[parity], b);
      wgmma_sparse<T, 1, 1>(sums, a + 2, metadata[parity], b + (32 * 128 >> 4));
    }
    if constexpr (!Further::of_one) wgmma_fence();
    now.next(p_.x_places);
    wgmma_commit();
    wgmma_wait<1>();
    hold_metadata(metadata[parity ^ 1]);
    release(released);
  }

  /// Every CTA that copies into this place may do so again, as far as this warp is concerned.
  __device__ __forceinline__ void release(RingPlace& released) const {
    __syncwarp();
    if (lane_ < p_.sharers) arrive_in_cluster(released_ + static_cast<std::uint32_t>(released.place) * 8);
    released.next(p_.x_places);
  }

  std::byte* shared_;
  int first_token_;         ///< of its part of X, in a tile
  std::uint32_t x_part_;    ///< where that part lies in a place of the ring
  std::uint16_t x_ctas_;    ///< to which CTAs it goes
  std::uint32_t released_;  ///< where a lane says that the first place may be filled again
};

template <class T, class Source, class Tile>
__global__ void __launch_bounds__(Tile::threads, Tile::ctas)
    sparse_kernel(const __grid_constant__ PrefillParams<T, Source> p) {
  extern __shared__ __align__(1024) std::byte shared[];
  const SparseMemory<T, Source, Tile> memory(p, shared);
  using Cta = SparseCta<T, Source, Tile>;
  using Gather = SparseGather<T, Source, Tile>;
  const bool waits = p.part == PrefillPart::all || p.part == PrefillPart::before_tail;
  if (p.part != PrefillPart::before_tail) let_successor_start();
  const bool bringing = __shfl_sync(~0u, static_cast<int>(threadIdx.x >> 5), 0) == Tile::groups * 4;
  int ahead = 0;
  if (bringing && elect_one()) {
    prefetch_map(p.x_map);
    ahead = Cta(p, memory, shared).begin();
  }
  if (threadIdx.x == 0) Cta(p, memory, shared).prepare();
  if (threadIdx.x == 32 && p.aligned_rows) prefetch_map(p.y_map);
  TransposedUnit unit;
  if constexpr (Gathers<Source>)
    if (const Gather gather(p, memory); threadIdx.x < Tile::groups * 128 && gather.turns()) {
      if (waits) wait_for_predecessor();
      unit = gather.multipliers_unit();
    }
  __syncwarp();
  cluster_arrive_relaxed();  // it orders the barriers, as their fence does: no one waits for copies
  cluster_wait();
  if (threadIdx.x >= Tile::groups * 128) {
    lower_registers<Cta::few_registers>();
    // Each branch has its own: what one keeps must not take registers of the other.
    const Cta cta(p, memory, shared);
    if (bringing && elect_one()) {
      if (waits) wait_for_predecessor();
      if (p.part == PrefillPart::before_tail) let_successor_start();
      cta.bring(ahead);
    }
    if constexpr (Gathers<Source>)
      if (!bringing) Gather(p, memory).gather();
  } else {
    raise_registers<Cta::many_registers>();
    const Cta cta(p, memory, shared);
    if (waits) wait_for_predecessor();
    if constexpr (Gathers<Source>)
      if (const Gather gather(p, memory); gather.turns()) gather.turn(unit);
    cta.multiply();
  }
  wait_stores<0>();  // behind the branches: at the end of one of them ptxas would ignore its registers
  if (!waits) wait_for_predecessor();
  if (p.sharers == 1) return;
  // No CTA leaves while another may still copy into it or count at its barriers.
  __syncwarp();
  cluster_arrive();
  cluster_wait();
}

}  // namespace cross::kernels::cuda
