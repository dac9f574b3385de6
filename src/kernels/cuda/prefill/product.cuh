// The prefill product: weights expanded from their packed format into A operands of wgmma, X tiles in shared
// memory by tensor copies.
//
//     Y[panel rows, tile tokens] = sum over K of W[rows, k] · X[k, tokens]
//
// A CTA has Tile::groups warp groups that multiply, a panel of 64 rows each, and one whose first two warps
// bring X and packed weights through rings. CTAs of a cluster work on the same tokens of neighbouring row
// tiles and copy every part of X to all of them, or on parts of one tile's K, whose sums they exchange at its
// end. The grid is persistent: whole tiles first, then equal shares of the K of those that do not fill a
// round of the GPU. Every sum is added in an order that the launch alone decides: equal bits from run to run.
#pragma once

#include "kernels/cuda/prefill/outputs.cuh"
#include "kernels/cuda/prefill/pieces.cuh"

namespace cross::kernels::cuda {

/// Addresses of a CTA's shared memory: X, outputs and exchanged sums, packed weights, barriers.
template <class T, class Source, class Tile>
struct PrefillMemory {
  std::uint32_t x, staging, exchange, w, barriers;
  __device__ PrefillMemory(const PrefillParams<T, Source>& p, const std::byte* shared) {
    x = shared_address(shared);
    staging = x + static_cast<std::uint32_t>(p.x_places) * Tile::chunk_bytes;
    exchange = staging + Tile::staging_bytes;
    w = exchange + Tile::exchange_bytes;
    barriers = w + static_cast<std::uint32_t>(p.w_places * Tile::groups) * p.source.place_bytes + 128;
  }
  __device__ std::uint32_t x_full(int place) const {
    return barriers + static_cast<std::uint32_t>(place) * 8;
  }
  __device__ std::uint32_t x_empty(int place) const { return x_full(prefill_most_places + place); }
  __device__ std::uint32_t w_full(int place) const { return x_full(2 * prefill_most_places + place); }
  __device__ std::uint32_t w_empty(int place) const { return x_full(3 * prefill_most_places + place); }
  __device__ std::uint32_t sums() const { return x_full(4 * prefill_most_places); }
  __device__ std::uint32_t left() const { return sums() + 2 * Tile::groups * 4 * 8; }
};

template <class T, class Source, class Tile>
class PrefillCta {
  static constexpr int chunks = Source::block_cols / prefill_chunk_cols;  // of a block
  static constexpr int chunk_steps = prefill_chunk_cols / Source::step_cols;
  static constexpr int steps = Source::block_cols / Source::step_cols;
  static constexpr int batch = Source::batch, buffers = Source::buffers;
  static_assert(steps % batch == 0 && (steps / batch) % buffers == 0);
  using Memory = PrefillMemory<T, Source, Tile>;

 public:
  __device__ PrefillCta(const PrefillParams<T, Source>& params, const Memory& memory, std::byte* shared)
      : p_(params), m_(memory), shared_(shared), lane_(kept_lane()) {
    rank_ = cluster_rank();
    split_ = rank_ / p_.sharers;
    sharer_ = rank_ - split_ * p_.sharers;
    released_ = in_cta(m_.x_empty(0), split_ * p_.sharers + (lane_ < p_.sharers ? lane_ : 0));
  }

  __device__ void prepare() const {
    for (int place = 0; place < prefill_most_places; ++place) {
      barrier_init(m_.x_full(place), 1);
      barrier_init(m_.x_empty(place), p_.sharers * Tile::groups * 4);
    }
    barrier_init(m_.left(), Tile::groups * 4);
    if constexpr (Tile::splits > 1) SumExchange<Tile>::prepare(m_.sums());
    fence_barrier_init();
  }

  __device__ void prepare_weights() const {
    for (int place = 0; place < prefill_most_places; ++place) {
      barrier_init(m_.w_full(place), Tile::groups * Source::copies);
      barrier_init(m_.w_empty(place), Tile::groups * 4);
    }
    fence_barrier_init();
  }

  /// One lane brings X: this CTA's part of every chunk, to all that share it.
  __device__ void bring_x() {
    const int part_tokens = Tile::tokens / p_.sharers;
    const std::uint32_t part = static_cast<std::uint32_t>(sharer_) * (Tile::chunk_bytes / p_.sharers);
    const auto ctas = static_cast<std::uint16_t>(((1 << p_.sharers) - 1) << (split_ * p_.sharers));
    RingPlace ring;
    for (auto pieces = walk(); pieces.more(); pieces.next()) {
      const PrefillPiece piece = pieces.piece();
      const PrefillTurn turn(p_, piece.tile);
      const int row_tile = row_tile_of(turn);
      const int token = turn.token_tile * Tile::tokens + sharer_ * part_tokens;
      const auto [first, last] = range(row_tile, piece);
      for (int block = first; block < last; ++block) {
        const int column = Source::column(p_.source, row_tile, block);
#pragma unroll
        for (int chunk = 0; chunk < chunks; ++chunk, ring.next(p_.x_places)) {
          const std::uint32_t full = m_.x_full(ring.place);
          wait_in_cluster(m_.x_empty(ring.place), ring.parity ^ 1);
          arrive_expecting(full, Tile::chunk_bytes);
          const std::uint32_t to = m_.x + static_cast<std::uint32_t>(ring.place) * Tile::chunk_bytes + part;
          if (p_.sharers > 1)
            copy_box_to_all(to, p_.x_map, column + chunk * prefill_chunk_cols, token, full, ctas);
          else
            copy_box(to, p_.x_map, column + chunk * prefill_chunk_cols, token, full);
        }
      }
      if (begins_cut_tile(piece)) bring_parts(pieces, ring);
    }
  }

  /// One lane tells the share that has the first unit of a tile that this CTA has left sums for it.
  __device__ void announce_part() const {
    const auto pieces = walk();
    if (!pieces.leaves()) return;
    wait_in_cluster(m_.left(), 0);
    __threadfence();
    count_up(p_.arrivals + cta(pieces.left_for()));
  }

  /// A lane brings one copy of every block of a panel.
  __device__ void bring_weights() {
    const int group = lane_ / Source::copies, copy = lane_ % Source::copies;
    if (group >= Tile::groups) return;
    RingPlace ring;
    for (auto pieces = walk(); pieces.more(); pieces.next()) {
      const PrefillPiece piece = pieces.piece();
      const int row_tile = row_tile_of(PrefillTurn(p_, piece.tile));
      // Past the last panel the last one is multiplied again, for outputs that nobody stores.
      const int panel = min(row_tile * Tile::groups + group, p_.source.panels - 1);
      const auto [first, last] = range(row_tile, piece);
      typename Source::Feed feed(p_.source, panel, copy, first, last);
      for (int block = first; block < last; ++block, ring.next(p_.w_places)) {
        const std::byte* from;
        std::uint32_t bytes, offset;
        feed.next(from, bytes, offset);
        const std::uint32_t full = m_.w_full(ring.place);
        wait_in_cluster(m_.w_empty(ring.place), ring.parity ^ 1);
        arrive_expecting(full, bytes);
        copy_bytes(place(ring.place, group) + offset, from, bytes, full);
      }
    }
  }

  /// A warp group multiplies a panel.
  __device__ void multiply() {
    const int kept_warp = __shfl_sync(~0u, static_cast<int>(threadIdx.x >> 5), 0);
    const int group = kept_warp >> 2, warp = kept_warp & 3;
    SumExchange<Tile> exchange(m_.exchange, m_.sums(), group * 4 + warp, lane_, split_, p_.sharers, rank_);
    std::byte* staging = shared_ + (m_.staging - m_.x) + group * Tile::group_staging_bytes;
    RingPlace x, w;
    int x_released = 0;
    float sums[Tile::eights][4];
    typename Source::Operand a[buffers][batch] = {};
    for (auto pieces = walk(); pieces.more(); pieces.next()) {
      const auto [first, last] = range(row_tile_of(PrefillTurn(p_, pieces.piece().tile)), pieces.piece());
#pragma unroll
      for (int e = 0; e < Tile::eights; ++e) sums[e][0] = sums[e][1] = sums[e][2] = sums[e][3] = 0.0f;
#pragma unroll 1
      for (int i = first; i < last; ++i, w.next(p_.w_places)) {
        wait_in_cluster(m_.w_full(w.place), w.parity);
        typename Source::Block block(p_.source, place(w.place, group), warp, lane_);
        multiply_block<0>(block, a, sums, x, x_released, i > first);
        __syncwarp();
        if (lane_ == 0) arrive_here(m_.w_empty(w.place));
      }
      wgmma_wait<0>();
#pragma unroll
      for (int i = 0; i < buffers; ++i)
#pragma unroll
        for (int j = 0; j < batch; ++j) a[i][j].hold();
#pragma unroll
      for (int e = 0; e < Tile::eights; ++e) hold_registers(sums[e]);
      if (first < last) {  // what the last products read
        do {
          release(x_released);
        } while (x_released != x.place);
      }
      const PrefillPiece piece = pieces.piece();
      const PrefillTurn turn(p_, piece.tile);
      const std::int64_t panel = static_cast<std::int64_t>(row_tile_of(turn)) * Tile::groups + group;
      const std::int64_t token = static_cast<std::int64_t>(turn.token_tile) * Tile::tokens;
      const auto finish = [&](float(&own)[Tile::own_eights][4], std::int64_t first_token) {
        if (piece.first > 0) {
          leave_part(own, pieces, group);
        } else {
          add_parts(own, pieces, x, group);
          store_panel<T, Source, Tile>(p_, own, panel, first_token, staging, group);
        }
      };
      if constexpr (Tile::splits > 1) {
        float own[Tile::own_eights][4];
        exchange.add_up(sums, own);
        finish(own, token + split_ * Tile::own_eights * 8);
      } else {
        finish(sums, token);
      }
    }
  }

 private:
  struct Range {
    int first, last;
  };
  using Pieces = PrefillPieces<PrefillParams<T, Source>>;
  __device__ __forceinline__ int size() const { return p_.sharers * Tile::splits; }  ///< of the cluster
  __device__ __forceinline__ Pieces walk() const {
    return Pieces(p_, static_cast<int>(blockIdx.x) / size(), static_cast<int>(gridDim.x) / size());
  }
  __device__ __forceinline__ int row_tile_of(const PrefillTurn& turn) const {
    return Source::row_tile(p_.source, turn.row_tile * p_.sharers + sharer_);
  }
  /// This CTA's blocks of a piece of a row tile. Tiles that differ in blocks are not cut.
  __device__ __forceinline__ Range range(int row_tile, const PrefillPiece& piece) const {
    const int last = piece.last == p_.tile_units ? Source::blocks(p_.source, row_tile) : piece.last;
    const int count = last - piece.first;
    return {piece.first + count * split_ / Tile::splits, piece.first + count * (split_ + 1) / Tile::splits};
  }
  __device__ __forceinline__ std::uint32_t place(int number, int group) const {
    return m_.w + static_cast<std::uint32_t>(number * Tile::groups + group) * p_.source.place_bytes;
  }

  /// Sums of a tile that several clusters share go through memory: the cluster with the tile's first unit
  /// adds up all, in the order of K. Only the first piece of a share can be left, and parts are waited for in
  /// its last only.
  __device__ __forceinline__ bool begins_cut_tile(const PrefillPiece& piece) const {
    return piece.first == 0 && piece.last < p_.tile_units;
  }
  /// The CTA of a share that has the same rows and tokens as this one.
  __device__ __forceinline__ std::int64_t cta(int share) const { return share * size() + rank_; }
  __device__ __forceinline__ void leave_part(const float (&sums)[Tile::own_eights][4], const Pieces& pieces,
                                             int group) const {
    float4* to = reinterpret_cast<float4*>(p_.parts + cta(pieces.share()) * Tile::part_bytes) +
                 group * Tile::part_eights * 128 + (threadIdx.x & 127);
#pragma unroll
    for (int e = 0; e < Tile::own_eights; ++e)
      __stcg(to + (e / Tile::part_eights * Tile::groups * Tile::part_eights + e % Tile::part_eights) * 128,
             make_float4(sums[e][0], sums[e][1], sums[e][2], sums[e][3]));
    fence_async_proxy_of_memory();  // copies will read them
    __syncwarp();
    if (lane_ == 0) arrive_here(m_.left());
  }
  /// The producer's side: parts come behind X, through its ring.
  __device__ __forceinline__ void bring_parts(const Pieces& pieces, RingPlace& ring) const {
    std::uint32_t parts = 0;
    for (int share = pieces.share() + 1; pieces.shares_last_tile(share); ++share) ++parts;
    std::uint32_t* arrivals = p_.arrivals + cta(pieces.share());
    wait_until_equal(arrivals, parts);
    *arrivals = 0;
    fence_async_proxy_of_memory();
    for (int share = pieces.share() + 1; pieces.shares_last_tile(share); ++share)
      for (int round = 0; round < Tile::part_rounds; ++round, ring.next(p_.x_places)) {
        const std::uint32_t full = m_.x_full(ring.place);
        wait_in_cluster(m_.x_empty(ring.place), ring.parity ^ 1);
        arrive_expecting(full, Tile::round_bytes);
        copy_bytes(m_.x + static_cast<std::uint32_t>(ring.place) * Tile::chunk_bytes,
                   p_.parts + cta(share) * Tile::part_bytes + round * Tile::round_bytes, Tile::round_bytes,
                   full);
      }
  }
  __device__ __forceinline__ void add_parts(float (&sums)[Tile::own_eights][4], const Pieces& pieces,
                                            RingPlace x, int group) {
    const std::uint32_t at =
        m_.x + static_cast<std::uint32_t>(group * Tile::part_eights * 2048) + (threadIdx.x & 127) * 16;
#pragma unroll 1
    for (int share = pieces.share() + 1; pieces.shares_last_tile(share); ++share)
#pragma unroll
      for (int round = 0; round < Tile::part_rounds; ++round, x.next(p_.x_places)) {
        wait_in_cluster(m_.x_full(x.place), x.parity);
        const std::uint32_t from = at + static_cast<std::uint32_t>(x.place) * Tile::chunk_bytes;
#pragma unroll
        for (int e = 0; e < Tile::part_eights; ++e) {
          const uint4 v = load_shared16(from + static_cast<std::uint32_t>(e * 2048));
          float(&to)[4] = sums[round * Tile::part_eights + e];
          to[0] += __uint_as_float(v.x);
          to[1] += __uint_as_float(v.y);
          to[2] += __uint_as_float(v.z);
          to[3] += __uint_as_float(v.w);
        }
        int released = x.place;
        release(released);
      }
  }

  /// Batches b … of a block: the next ones are expanded while tensor cores work on those before.
  /// @param later  not the first block of its tile
  template <int b>
  __device__ __forceinline__ void multiply_block(typename Source::Block& block,
                                                 typename Source::Operand (&a)[buffers][batch],
                                                 float (&sums)[Tile::eights][4], RingPlace& x,
                                                 int& x_released, bool later) {
    if constexpr (b * batch < steps) {
      auto& operands = a[b % buffers];
      wgmma_wait<buffers - 1>();  // the batch that read them has ended
#pragma unroll
      for (int i = 0; i < batch; ++i) operands[i].hold();
      // With it chunks of X may have been read to their end.
      constexpr int ended = (b + 1 - buffers) * batch;  // steps of this block
#pragma unroll
      for (int step = ended - batch + 1; step <= ended; ++step)
        if (step % chunk_steps == 0 && (ended > 0 || later)) release(x_released);
      expand<b * batch, 0>(block, operands);
      // All chunks of the batch before its first product: a wait between products would serialise them.
      RingPlace ahead = x;
#pragma unroll
      for (int i = 0; i < batch; ++i) {
        const int step = (b * batch + i) % chunk_steps;
        if (step == 0) wait_in_cluster(m_.x_full(ahead.place), ahead.parity);
        if (step == chunk_steps - 1) ahead.next(p_.x_places);
      }
      wgmma_fence();
#pragma unroll
      for (int i = 0; i < batch; ++i) {
        const int step = (b * batch + i) % chunk_steps;
        Source::template multiply<T>(
            sums, operands[i],
            descriptor(x.place) + static_cast<std::uint64_t>(step * (Source::step_cols * 2 / 16)));
        if (step == chunk_steps - 1) x.next(p_.x_places);
      }
      wgmma_commit();
      multiply_block<b + 1>(block, a, sums, x, x_released, later);
    }
  }
  template <int first, int i>
  __device__ __forceinline__ void expand(typename Source::Block& block,
                                         typename Source::Operand (&operands)[batch]) {
    if constexpr (i < batch) {
      block.template step<first + i>(p_.source, operands[i]);
      expand<first, i + 1>(block, operands);
    }
  }
  /// Every CTA that copies into this place of X may do so again, as far as this warp is concerned.
  __device__ __forceinline__ void release(int& place) {
    __syncwarp();
    if (lane_ < p_.sharers) arrive_in_cluster(released_ + static_cast<std::uint32_t>(place) * 8);
    if (++place == p_.x_places) place = 0;
  }
  /// X in a place of its ring, as wgmma wants it; only the address differs, in the lower half.
  __device__ __forceinline__ std::uint64_t descriptor(int place) const {
    const std::uint64_t first = swizzled_descriptor(m_.x);
    const std::uint32_t address =
        static_cast<std::uint32_t>(first) + static_cast<std::uint32_t>(place) * (Tile::chunk_bytes / 16);
    return (first >> 32 << 32) | address;
  }
  /// The lane, in a register for good: the compiler would rather read and mask the thread's number again in
  /// every block.
  static __device__ __forceinline__ int kept_lane() {
    const int lane = static_cast<int>(threadIdx.x & 31);
    return __shfl_sync(~0u, lane, lane);
  }

  const PrefillParams<T, Source>& p_;
  const Memory& m_;
  std::byte* shared_;
  int lane_, rank_, split_, sharer_;
  std::uint32_t released_;  ///< where a lane says that the first place of X may be filled again
};

template <class T, class Source, class Tile>
__global__ void __launch_bounds__(Tile::threads, Tile::ctas)
    prefill_kernel(const __grid_constant__ PrefillParams<T, Source> p) {
  extern __shared__ __align__(1024) std::byte shared[];
  const PrefillMemory<T, Source, Tile> memory(p, shared);
  PrefillCta<T, Source, Tile> cta(p, memory, shared);
  let_successor_start();
  constexpr int producer = Tile::groups * 4;  // its first warp
  const int warp = __shfl_sync(~0u, static_cast<int>(threadIdx.x >> 5), 0) - producer;
  if (threadIdx.x == 0) cta.prepare();
  if (threadIdx.x == (producer + 1) * 32) cta.prepare_weights();
  if (warp == 0 && elect_one()) prefetch_map(p.x_map);
  if (threadIdx.x == 32 && p.aligned_rows) prefetch_map(p.y_map);
  __syncwarp();
  cluster_arrive();
  cluster_wait();
  if (warp >= 0) {
    lower_registers<Tile::few_registers>();
    if (warp == 0) {
      wait_for_predecessor();
      if (elect_one()) cta.bring_x();
    } else if (warp == 1) {
      cta.bring_weights();
    } else if (warp == 2) {
      if (elect_one()) cta.announce_part();
    }
  } else {
    raise_registers<Tile::many_registers>();
    wait_for_predecessor();
    cta.multiply();
  }
  wait_stores<0>();  // behind the branches: at the end of one of them ptxas would ignore its registers
  // No CTA leaves while another may still copy into it or count at its barriers.
  __syncwarp();
  cluster_arrive();
  cluster_wait();
}

}  // namespace cross::kernels::cuda
