// out[rows, cols] = W, dense. A warp expands one block of 16 rows and 128 columns after the other: the copy
// engine brings the packed block after the next meanwhile, and stores the two halves of a block as tensor
// boxes. So a warp waits for no memory, and eight an SM are enough.
//
// What bounds it is memory: without expanding (the same blocks read, boxes of the same size stored) it takes
// 98 % of the time, without storing less than half.
#include <cuda_runtime_api.h>

#include <algorithm>

#include "kernels/cuda/bitmap_planes_decode.cuh"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/prefill/expand_bitmap_planes.h"
#include "kernels/cuda/prefill/pipeline.cuh"
#include "kernels/cuda/prefill/tensor_map.h"
#include "kernels/cuda/wgmma.cuh"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda {
namespace {

using formats::gpu::bitmap_planes_align;
using formats::gpu::bitmap_planes_cols;
using formats::gpu::bitmap_planes_rows;

constexpr int warps = 4, ctas = 2;  ///< of a CTA, of an SM: more of them are up to 6 % slower
constexpr int places = 2;           ///< for packed blocks of a warp
constexpr int box_cols = 64;
constexpr std::uint32_t box_bytes = bitmap_planes_rows * box_cols * 2, block_bytes = 2 * box_bytes;
/// What the last window of a block sees past it.
constexpr std::uint32_t seen_past = 16;

struct ExpandParams {
  CUtensorMap out;  ///< in boxes of 64 columns and 16 rows
  const std::uint32_t* index;
  const std::byte* blocks;
  std::int32_t k_blocks;
  std::int32_t count;         ///< blocks
  std::uint32_t place_bytes;  ///< of a packed block
  DecodeFactors factors;
};

/// Packed blocks on their way to a warp. The index runs a block ahead.
class PackedFeed {
 public:
  __device__ __forceinline__ PackedFeed(const ExpandParams& p, int first, int step, std::uint32_t in,
                                        std::uint32_t barriers)
      : p_(p), block_(first), step_(step), in_(in), barriers_(barriers) {
    look();
  }
  __device__ __forceinline__ void bring(int place) {
    if (block_ >= p_.count) return;
    if (elect_one()) {
      const std::uint32_t bytes = (to_ - from_) * bitmap_planes_align,
                          full = barriers_ + static_cast<std::uint32_t>(place) * 8;
      arrive_expecting(full, bytes);
      copy_bytes(in_ + static_cast<std::uint32_t>(place) * p_.place_bytes,
                 p_.blocks + static_cast<std::uint64_t>(from_) * bitmap_planes_align, bytes, full);
    }
    block_ += step_;
    look();
  }

 private:
  __device__ __forceinline__ void look() {
    if (block_ >= p_.count) return;
    from_ = __ldg(p_.index + block_);
    to_ = __ldg(p_.index + block_ + 1);
  }
  const ExpandParams& p_;
  int block_, step_;
  std::uint32_t in_, barriers_, from_ = 0, to_ = 0;
};

__global__ void __launch_bounds__(warps * 32)
    expand_bitmap_planes_kernel(const __grid_constant__ ExpandParams p) {
  extern __shared__ __align__(1024) std::byte shared[];
  const int warp = __shfl_sync(~0u, static_cast<int>(threadIdx.x >> 5), 0),
            lane = static_cast<int>(threadIdx.x & 31);
  const auto mine = static_cast<std::uint32_t>(warp);
  const std::uint32_t out = shared_address(shared) + mine * block_bytes;
  const std::uint32_t in = shared_address(shared) + warps * block_bytes + mine * places * p.place_bytes;
  const std::uint32_t barriers =
      shared_address(shared) + warps * (block_bytes + places * p.place_bytes) + mine * places * 8;
  if (lane == 0) {
    for (std::uint32_t place = 0; place < places; ++place) barrier_init(barriers + place * 8, 1);
    fence_barrier_init();
  }
  __syncwarp();
  const int step = static_cast<int>(gridDim.x) * warps;
  const int first = static_cast<int>(blockIdx.x) * warps + warp;
  PackedFeed feed(p, first, step, in, barriers);
  for (int place = 0; place < places; ++place) feed.bring(place);
  // Lane l names row l mod 8 of one of four matrices of 8 x 8, two of rows and two of columns; its 16-byte
  // pieces are exchanged by row as tensor copies want them.
  const std::uint32_t row =
      out + static_cast<std::uint32_t>((lane & 15) * 128 + (((lane >> 4) ^ (lane & 7)) << 4));
  RingPlace ring;
  for (int block = first; block < p.count; block += step, ring.next(places)) {
    wait_in_cluster(barriers + static_cast<std::uint32_t>(ring.place) * 8, ring.parity);
    std::uint32_t mask[2];
    ValueWindow window = open_block(in + static_cast<std::uint32_t>(ring.place) * p.place_bytes, lane, mask);
    if (elect_one()) wait_stores<0>();  // the block before has been read
    __syncwarp();
#pragma unroll
    for (std::uint32_t s = 0; s < formats::gpu::bitmap_planes_steps; ++s) {
      std::uint32_t a[4];
      window.step(mask[s / 4], s % 4, p.factors, a);
      store_matrices((row ^ s % 4 * 32) + s / 4 * box_bytes, a);
    }
    fence_async_proxy();
    __syncwarp();
    const int tile = block / p.k_blocks, k = block - tile * p.k_blocks;
    if (elect_one()) {
      store_box(p.out, k * bitmap_planes_cols, tile * bitmap_planes_rows, out);
      store_box(p.out, k * bitmap_planes_cols + box_cols, tile * bitmap_planes_rows, out + box_bytes);
      commit_stores();
    }
    feed.bring(ring.place);
  }
  if (elect_one()) wait_stored();
}

}  // namespace

int enqueue_expanded_bitmap_planes(const PackedMatrix& matrix, void* out, void* stream) {
  const auto header = formats::gpu::read_header<formats::gpu::BitmapPlanesHeader>(matrix.host);
  ExpandParams p;
  if (const int error = encode_tokens(p.out, out, matrix.dtype, header.rows, header.cols, bitmap_planes_rows);
      error != cudaSuccess)
    return error;
  p.index = reinterpret_cast<const std::uint32_t*>(matrix.device + header.index);
  p.blocks = matrix.device + header.blocks;
  p.k_blocks = header.k_blocks;
  p.count = header.tiles * header.k_blocks;
  p.place_bytes = (header.max_block_bytes + seen_past + 15) / 16 * 16;
  const std::size_t shared = warps * (block_bytes + places * (std::size_t{p.place_bytes} + 8));
  return launch(expand_bitmap_planes_kernel,
                std::min((p.count + warps - 1) / warps, device_limits().sms * ctas), warps * 32, shared,
                stream, false, p);
}

}  // namespace cross::kernels::cuda
