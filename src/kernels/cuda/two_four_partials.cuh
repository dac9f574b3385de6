// Putting the partial sums of a panel together, in a fixed order: split by split, and in a split warp by
// warp.
//
// The 32 rows of a panel belong to `owners` CTAs of the team in equal parts: to all of a cluster, which
// brings partials to their owners through shared memory, or to the one CTA that comes last. An owner has
// float2 partials [splits][slots][token pairs][its rows]; the slot of a partial is panel + warp, which no two
// of a CTA share.
#pragma once

#include "kernels/cuda/cluster.cuh"
#include "kernels/cuda/epilogue.cuh"
#include "kernels/cuda/gpu_kernel.h"
#include "kernels/cuda/ptx.cuh"
#include "plan/formats/gpu/two_four.h"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

/// How the CTAs of a team put their partials together.
enum class Join : std::int32_t {
  alone,    ///< one split: in its own shared memory
  cluster,  ///< in the owners' shared memory; a counter there says when all have come. sm90
  memory,   ///< a cluster too, through the workspace, where partials do not fit into shared memory. sm90
  last,     ///< through the workspace; the last CTA to arrive owns everything
};

template <class T>
struct TwoFourParams {
  const std::byte* tiles;
  const T* x;
  float2* partials;        ///< in the workspace, or nullptr
  std::uint32_t* arrived;  ///< [teams], zero between runs; Join::last only
  EpilogueArgs<T> epilogue;
  std::int64_t cols;
  std::int32_t tokens;
  std::int32_t k_blocks;  ///< of 128 columns
  std::int32_t splits;
  std::int32_t k_range;                    ///< blocks of a split; the last may have fewer, or none
  std::int32_t team_panels, longer_teams;  ///< of 32 rows; the first `longer_teams` teams have one panel more
  std::int32_t slots;                      ///< most panels of a team + warps - 1
  std::int32_t owner_shift;                ///< log2 of the owners
  Join join;
};

/// The part of the work that a CTA does.
struct Share {
  int team, split;
  int first_panel, panels;
  int first_k, k_blocks;

  template <class T>
  __device__ explicit Share(const TwoFourParams<T>& p) {
    team = static_cast<int>(blockIdx.x / static_cast<unsigned>(p.splits));
    split = static_cast<int>(blockIdx.x) - team * p.splits;
    first_panel = team * p.team_panels + min(team, p.longer_teams);
    panels = p.team_panels + (team < p.longer_teams ? 1 : 0);
    first_k = min(split * p.k_range, p.k_blocks);
    k_blocks = min(p.k_range, p.k_blocks - first_k);
  }
};

/// The blocks of a CTA, counted panel after panel, that one of its warps does. With fewer blocks than warps
/// the first warps do one each, so that no idle warp stands between two that share a panel.
template <int warps>
struct WarpBlocks {
  std::uint32_t begin = 0, end = 0;

  __device__ WarpBlocks(const Share& share, int warp) {
    const auto blocks = static_cast<std::uint32_t>(share.panels * share.k_blocks);
    const auto w = static_cast<std::uint32_t>(warp);
    if (blocks >= warps) {
      begin = blocks * w / warps;
      end = blocks * (w + 1) / warps;
    } else if (w < blocks) {
      begin = w;
      end = w + 1;
    }
  }
};

/// The warps that leave a partial of panel `panel` where the CTA's panels have `k_blocks` blocks each.
template <int warps>
struct Leavers {
  int first = 0, count = 0;

  __device__ Leavers(int panels, int k_blocks, int panel) {
    if (k_blocks == 0) return;
    const auto blocks = static_cast<std::uint32_t>(panels * k_blocks);
    const auto begin = static_cast<std::uint32_t>(panel * k_blocks);
    const auto workers = min(static_cast<std::uint32_t>(warps), blocks);
    first = static_cast<int>(((begin + 1) * workers - 1) / blocks);
    count =
        static_cast<int>(((begin + static_cast<std::uint32_t>(k_blocks)) * workers - 1) / blocks) - first + 1;
  }
};

/// @tparam counted  Join::cluster; the others otherwise
template <class T, int planes, int warps, bool counted>
class PartialWriter {
 public:
  __device__ PartialWriter(const TwoFourParams<T>& params, const Share& share, std::uint32_t own,
                           std::uint32_t counter)
      : p_(params), share_(share), own_(own), counter_(counter) {}

  /// Tells the other CTAs of the cluster that this one runs.
  __device__ void begin() const {
    if (counted && threadIdx.x == 0) make_counter(counter_, warps * p_.splits);
    if (counted || p_.join == Join::memory) cluster_arrive_relaxed();
  }
  /// Nobody may write into a CTA's shared memory before it runs. Then every warp tells every owner how many
  /// bytes it is going to send there.
  __device__ void wait_for_owners() const {
    if (counted || p_.join == Join::memory) cluster_wait();
    if constexpr (counted) {
      const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
      if (lane >= p_.splits) return;
      const WarpBlocks<warps> own(share_, warp);
      int left = 0;  // panels
      if (own.begin < own.end) {
        const auto k_blocks = static_cast<std::uint32_t>(share_.k_blocks);
        left = static_cast<int>((own.end - 1) / k_blocks - own.begin / k_blocks) + 1;
      }
      announce(in_cta(counter_, lane), left * ((p_.tokens + 1) / 2) * rows() * 8);
    }
  }

  /// Hands the sums of a panel to the owners of its rows.
  __device__ void write(const float (&sum)[2][planes][4], int slot) const {
    const int lane = static_cast<int>(threadIdx.x) & 31, g = lane >> 2, t = lane & 3;
    const int first = (share_.split * p_.slots + slot) * size() + t * rows();
#pragma unroll
    for (int eight = 0; eight < 4; ++eight) {
      const int row = 8 * eight + g;
      const int owner = row >> (5 - p_.owner_shift);
      const int index = first + (row & (rows() - 1));
      const std::uint32_t to = counted ? in_cta(own_ + static_cast<std::uint32_t>(index) * 8, owner) : 0;
      const std::uint32_t counter = counted ? in_cta(counter_, owner) : 0;
      float2* to_any = counted ? nullptr : partials_of(owner) + index;
#pragma unroll
      for (int q = 0; q < planes; ++q) {
        if (8 * q + 2 * t >= p_.tokens) break;
        const float2 v =
            make_float2(sum[eight >> 1][q][2 * (eight & 1)], sum[eight >> 1][q][2 * (eight & 1) + 1]);
        const int at = 4 * q * rows();
        if constexpr (counted)
          store_counted(to + static_cast<std::uint32_t>(at) * 8, v, counter);
        else
          to_any[at] = v;
      }
    }
  }

  /// After the last panel: waits for the partials of the rows that this CTA owns, adds them and stores the
  /// outputs.
  __device__ void finish() const {
    int owner = 0;
    if constexpr (counted) {
      owner = share_.split;
      wait_counter(counter_);
    } else if (p_.join == Join::alone) {
      __syncthreads();
    } else if (p_.join == Join::memory) {
      cluster_arrive();
      owner = share_.split;
      cluster_wait();
    } else if (!last_to_arrive()) {
      return;
    }
    // Threads take (panel, token pair, row) with rows fastest: neighbours in y.
    const float2* from = counted ? nullptr : partials_of(owner);
    for (int e = static_cast<int>(threadIdx.x); e < share_.panels * size(); e += warps * 32)
      add(owner, from, e);
  }

 private:
  __device__ int rows() const { return 32 >> p_.owner_shift; }
  /// Of one partial at one owner.
  __device__ int size() const { return (4 * planes * 32) >> p_.owner_shift; }
  /// Of an owner, where they are not counted.
  __device__ float2* partials_of(int owner) const {
    if (p_.join == Join::alone) return reinterpret_cast<float2*>(__cvta_shared_to_generic(own_));
    const std::int64_t cta = (static_cast<std::int64_t>(share_.team) << p_.owner_shift) + owner;
    return p_.partials + cta * p_.splits * p_.slots * size();
  }

  /// Whether this CTA is the last of its team to come here; everything the others wrote is then visible.
  __device__ bool last_to_arrive() const {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
      std::uint32_t* arrived = p_.arrived + share_.team;
      last = atomicAdd(arrived, 1u) == static_cast<std::uint32_t>(p_.splits - 1);
      if (last) *arrived = 0;
    }
    __syncthreads();
    __threadfence();
    return last;
  }

  __device__ void add(int owner, const float2* from, int e) const {
    const int panel = e / size(), inside = e & (size() - 1);
    const int pair = inside >> (5 - p_.owner_shift), row = inside & (rows() - 1);
    const std::int64_t y_row =
        static_cast<std::int64_t>(share_.first_panel + panel) * 32 + owner * rows() + row;
    if (2 * pair >= p_.tokens || y_row >= p_.epilogue.rows) return;
    const int full = static_cast<int>(static_cast<unsigned>(p_.k_blocks) / static_cast<unsigned>(p_.k_range));
    const Leavers<warps> in_full(share_.panels, p_.k_range, panel);
    const Leavers<warps> in_rest(share_.panels, p_.k_blocks - full * p_.k_range, panel);
    float2 sum = make_float2(0.0f, 0.0f);
#pragma unroll 1
    for (int split = 0; split <= full; ++split) {
      const int first = split < full ? in_full.first : in_rest.first;
      const int count = split < full ? in_full.count : in_rest.count;
      int index = (split * p_.slots + panel + first) * size() + inside;
#pragma unroll 4
      for (int c = 0; c < count; ++c, index += size()) {
        float2 v;
        if constexpr (counted)
          v = load_shared_floats(own_ + static_cast<std::uint32_t>(index) * 8);
        else
          v = from[index];
        sum.x += v.x;
        sum.y += v.y;
      }
    }
#pragma unroll 1
    for (int j = 0; j < 2; ++j)
      if (2 * pair + j < p_.tokens) store_output(p_.epilogue, y_row, 2 * pair + j, j == 0 ? sum.x : sum.y);
  }

  const TwoFourParams<T>& p_;
  const Share& share_;
  std::uint32_t own_, counter_;
};

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
