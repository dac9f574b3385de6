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
// What it asks of a weight format, a class of static functions:
//
//   struct Source {
//     struct Params;  // by value in the kernel's parameters: `panels`, and what the format needs
//     static constexpr std::uint32_t stage_bytes;  // of a panel: kept weights at multiples of 512, metadata
//     static __device__ int stages(const Params&, int row_tile);
//     // Where a panel's stages lie, asked for one after the other from `stage` on.
//     struct Feed {
//       __device__ void begin(const Params&, int row_tile, int panel, int stage);
//       __device__ const std::byte* next(const Params&, int stage);
//     };
//     static __device__ std::uint32_t metadata_at(int warp, int lane);  // of the lane's word in a stage
//     // Whether a stage multiplies gathered columns; where Params has `gathered_map`, which chunk of them.
//     static __device__ bool gathered(const Params&, int stage);
//     static __device__ int gathered_chunk(const Params&, int row_tile, int stage);
//     template <class T> static __device__ float exact(…);  // as in source.cuh
//   };
//
// What bounds it: docs/gpu.md, "two_four" below "Prefill".
#pragma once

#include "kernels/cuda/prefill/outputs.cuh"
#include "kernels/cuda/prefill/sparse_tile.cuh"
#include "kernels/cuda/prefill/wgmma_sparse.cuh"

namespace cross::kernels::cuda {

template <class Source>
concept Gathers = requires(const typename Source::Params& params) {
  params.gathered_map;
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
};

template <class T, class Source, class Tile>
class SparseCta {
  using Memory = SparseMemory<T, Source, Tile>;
  /// Places whose weights are asked for before X: copies come in turn, and more of them would hold X up.
  static constexpr int weights_ahead = 2;

 public:
  __device__ SparseCta(const PrefillParams<T, Source>& params, const Memory& memory, std::byte* shared)
      : p_(params), m_(memory), shared_(shared), lane_(static_cast<int>(threadIdx.x & 31)) {
    // One or two sharers: shifts, as divisions would be half of a CTA's start.
    const int rank = cluster_rank(), shift = p_.sharers - 1;
    split_ = rank >> shift;
    share_ = rank & shift;
    first_token_ = share_ * (Tile::tokens >> shift);
    x_part_ = static_cast<std::uint32_t>(first_token_) * (2 * prefill_chunk_cols);
    x_ctas_ = static_cast<std::uint16_t>(((1 << p_.sharers) - 1) << (split_ << shift));
    released_ = in_cta(m_.empty(0), split_ * p_.sharers + (lane_ < p_.sharers ? lane_ : 0));
    cluster_ = static_cast<int>(blockIdx.x / Tile::splits >> shift);
    clusters_ = static_cast<int>(gridDim.x / Tile::splits >> shift);
  }

  __device__ __forceinline__ void prepare() const {
    for (int place = 0; place < prefill_most_places; ++place)
      barrier_init(m_.empty(place), p_.sharers * Tile::groups * 4);
    if constexpr (Tile::splits > 1) SumExchange<Tile>::prepare(m_.sums());
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
      const auto [first, last] = range(row_tile);
      ahead = min(last - first, weights_ahead);
      Feeds feeds(p_, row_tile, first);
#pragma unroll 1
      for (int place = 0; place < ahead; ++place) {
        arrive_expecting(m_.full(place), Tile::brought_bytes);
        bring_weights(feeds, first + place, place);
      }
    }
    return ahead;
  }

  /// One lane brings weights and this CTA's part of X, to all that share it.
  /// @param ahead  places whose weights are on their way
  __device__ __forceinline__ void bring(int ahead) const {
    RingPlace ring;
    for (int round = 0, tile = tile_of(0); tile < p_.last; tile = tile_of(++round)) {
      const PrefillTurn turn(p_, tile);
      const int row_tile = row_tile_of(turn);
      const int token = turn.token_tile * Tile::tokens + first_token_;
      const auto [first, last] = range(row_tile);
      int stage = first;
#pragma unroll 1
      for (; ahead > 0; --ahead, ++stage, ring.next(p_.x_places)) bring_x(row_tile, stage, token, ring.place);
      Feeds feeds(p_, row_tile, stage);
#pragma unroll 1
      for (; stage < last; ++stage, ring.next(p_.x_places)) {
        wait_in_cluster(m_.empty(ring.place), ring.parity ^ 1);
        arrive_expecting(m_.full(ring.place), Tile::brought_bytes);
        bring_x(row_tile, stage, token, ring.place);
        bring_weights(feeds, stage, ring.place);
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
    float sums[Tile::eights][4];
    std::uint32_t metadata[2] = {};
    for (int round = 0, tile = tile_of(0); tile < p_.last; tile = tile_of(++round)) {
      const PrefillTurn turn(p_, tile);
      const int row_tile = row_tile_of(turn);
      const auto [first, last] = range(row_tile);
#pragma unroll
      for (int e = 0; e < Tile::eights; ++e) sums[e][0] = sums[e][1] = sums[e][2] = sums[e][3] = 0.0f;
#pragma unroll 1
      for (int stage = first; stage < last; stage += 2) {
        multiply_stage<0>(sums, metadata, now, released, group, warp, stage > first);
        if (stage + 1 < last) multiply_stage<1>(sums, metadata, now, released, group, warp, true);
      }
      wgmma_wait<0>();
      hold_metadata(metadata[0]);
      hold_metadata(metadata[1]);
#pragma unroll
      for (int e = 0; e < Tile::eights; ++e) hold_registers(sums[e]);
      if (first < last) release(released);
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
  struct Range {
    int first, last;
  };
  __device__ __forceinline__ int tile_of(int round) const { return p_.first + round * clusters_ + cluster_; }
  __device__ __forceinline__ int row_tile_of(const PrefillTurn& turn) const {
    return turn.row_tile * p_.sharers + share_;
  }
  /// This CTA's stages of a row tile.
  __device__ __forceinline__ Range range(int row_tile) const {
    const int stages = Source::stages(p_.source, row_tile);
    return {stages * split_ / Tile::splits, stages * (split_ + 1) / Tile::splits};
  }

  /// Where the weights of a row tile's panels lie, from a stage on. Past the last panel the last one is
  /// multiplied again, for outputs that nobody stores.
  struct Feeds {
    typename Source::Feed feed[Tile::groups];
    __device__ __forceinline__ Feeds(const PrefillParams<T, Source>& p, int row_tile, int first) {
#pragma unroll
      for (int group = 0; group < Tile::groups; ++group)
        feed[group].begin(p.source, row_tile, min(row_tile * Tile::groups + group, p.source.panels - 1),
                          first);
    }
  };
  __device__ __forceinline__ void bring_weights(Feeds& feeds, int stage, int place) const {
#pragma unroll
    for (int group = 0; group < Tile::groups; ++group)
      copy_bytes(m_.w(place, group), feeds.feed[group].next(p_.source, stage), Source::stage_bytes,
                 m_.full(place));
  }
  /// This CTA's part of a stage's X.
  __device__ __forceinline__ void bring_x(int row_tile, int stage, int token, int place) const {
    const std::uint32_t x = m_.x(place), full = m_.full(place);
    if (Source::gathered(p_.source, stage)) {
      if constexpr (Gathers<Source>) {
        if (p_.part == PrefillPart::gathering) wait_for_predecessor();  // until they are there
        copy_box(x, p_.source.gathered_map, 0,
                 Source::gathered_chunk(p_.source, row_tile, stage) * p_.tokens + token, full);
      }
    } else if (p_.sharers > 1) {
      copy_box_to_all(x + x_part_, p_.x_map, stage * prefill_chunk_cols, token, full, x_ctas_);
    } else {
      copy_box(x, p_.x_map, stage * prefill_chunk_cols, token, full);
    }
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

  /// Every CTA that copies into this place may do so again, as far as this warp is concerned.
  __device__ __forceinline__ void release(RingPlace& released) const {
    __syncwarp();
    if (lane_ < p_.sharers) arrive_in_cluster(released_ + static_cast<std::uint32_t>(released.place) * 8);
    released.next(p_.x_places);
  }

  const PrefillParams<T, Source>& p_;
  const Memory& m_;
  std::byte* shared_;
  int lane_, split_, share_, cluster_, clusters_;
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
  const SparseCta<T, Source, Tile> cta(p, memory, shared);
  const bool waits = p.part == PrefillPart::all || p.part == PrefillPart::before_tail;
  if (p.part != PrefillPart::before_tail) let_successor_start();
  const bool bringing = __shfl_sync(~0u, static_cast<int>(threadIdx.x >> 5), 0) == Tile::groups * 4;
  int ahead = 0;
  if (bringing && elect_one()) {
    prefetch_map(p.x_map);
    ahead = cta.begin();
  }
  if (threadIdx.x == 0) cta.prepare();
  if (threadIdx.x == 32 && p.aligned_rows) prefetch_map(p.y_map);
  __syncwarp();
  cluster_arrive_relaxed();  // it orders the barriers, as their fence does: no one waits for copies
  cluster_wait();
  if (threadIdx.x >= Tile::groups * 128) {
    lower_registers<Tile::few_registers>();
    if (bringing && elect_one()) {
      if (waits) wait_for_predecessor();
      if (p.part == PrefillPart::before_tail) let_successor_start();
      cta.bring(ahead);
    }
  } else {
    raise_registers<Tile::many_registers>();
    if (waits) wait_for_predecessor();
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
