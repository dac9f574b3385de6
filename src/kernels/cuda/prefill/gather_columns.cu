#include <algorithm>

#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/prefill/gather_columns.h"
#include "kernels/cuda/prefill/pipeline.cuh"
#include "kernels/cuda/ptx.cuh"
#include "plan/formats/gpu/two_four_overflow.h"

namespace cross::kernels::cuda {
namespace {

constexpr int gather_threads = 512;
constexpr int most_rows = 8;  ///< of x in a CTA's shared memory
constexpr int fours =
    formats::gpu::lifted_chunk_cols / 4;  ///< of a chunk's places: what a thread gathers of a token at a time
constexpr std::size_t barrier_bytes = 16;

std::size_t row_bytes(std::int64_t cols) { return static_cast<std::size_t>(cols) * 2; }

struct GatherArgs {
  const std::byte* x;
  std::uint16_t* out;
  const uint4* column;  ///< [chunks][16]
  std::int64_t tokens;
  std::uint32_t row_bytes;
  int chunks, parts;  ///< CTAs of the same tokens take parts of the chunks
};

/// A CTA has whole rows of x in shared memory, from which any column costs a load of two bytes.
template <int rows>
__global__ void __launch_bounds__(gather_threads) gather_kernel(const GatherArgs args) {
  extern __shared__ __align__(128) std::byte shared[];
  const std::uint32_t barrier = shared_address(shared), x = barrier + barrier_bytes;
  const int part = static_cast<int>(blockIdx.x) % args.parts;
  const std::int64_t token = static_cast<std::int64_t>(blockIdx.x / args.parts) * rows;
  const int there = static_cast<int>(min(static_cast<std::int64_t>(rows), args.tokens - token));
  wait_for_predecessor();
  let_successor_start();
  if (threadIdx.x == 0) {
    barrier_init(barrier, 1);
    fence_barrier_init();
    arrive_expecting(barrier, there * args.row_bytes);
    copy_bytes(x, args.x + token * args.row_bytes, there * args.row_bytes, barrier);
  }
  __syncthreads();
  const auto first = static_cast<int>(static_cast<std::int64_t>(args.chunks) * part / args.parts);
  const auto last = static_cast<int>(static_cast<std::int64_t>(args.chunks) * (part + 1) / args.parts);
  const std::int64_t end = static_cast<std::int64_t>(last) * fours;
  std::int64_t i = static_cast<std::int64_t>(first) * fours + threadIdx.x;
  uint4 next = i < end ? __ldg(args.column + i) : uint4{};
  wait_in_cluster(barrier, 0);
  for (; i < end; i += gather_threads) {
    const uint4 column = next;
    if (i + gather_threads < end) next = __ldg(args.column + i + gather_threads);
    std::uint16_t* out =
        args.out + (i / fours * args.tokens + token) * formats::gpu::lifted_chunk_cols + i % fours * 4;
#pragma unroll
    for (int row = 0; row < rows; ++row) {
      if (row >= there) break;
      const std::uint32_t from = x + static_cast<std::uint32_t>(row) * args.row_bytes;
      uint2 four;
      four.x = load_shared_u16(from + 2 * column.x) | load_shared_u16(from + 2 * column.y) << 16;
      four.y = load_shared_u16(from + 2 * column.z) | load_shared_u16(from + 2 * column.w) << 16;
      *reinterpret_cast<uint2*>(out + row * formats::gpu::lifted_chunk_cols) = four;
    }
  }
}

template <int rows>
int launch_gather(GatherArgs args, void* stream, bool overlap) {
  const std::int64_t groups = (args.tokens + rows - 1) / rows;
  args.parts = static_cast<int>(
      std::clamp<std::int64_t>(device_limits().sms / groups, 1, std::max(args.chunks / 4, 1)));
  const std::size_t shared = barrier_bytes + rows * std::size_t{args.row_bytes};
  return launch(gather_kernel<rows>, static_cast<int>(groups) * args.parts, gather_threads, shared, stream,
                overlap, args);
}

}  // namespace

std::size_t gathered_bytes(std::int64_t tokens, std::int64_t chunks) {
  return static_cast<std::size_t>(tokens * chunks) * formats::gpu::lifted_chunk_cols * 2;
}

bool gather_takes(std::int64_t cols) {
  return barrier_bytes + row_bytes(cols) <= device_limits().shared_bytes;
}

int enqueue_gathered(const void* x, void* out, const std::uint32_t* column, std::int64_t chunks,
                     std::int64_t tokens, std::int64_t cols, void* stream, bool overlap) {
  GatherArgs args{};
  args.x = static_cast<const std::byte*>(x);
  args.out = static_cast<std::uint16_t*>(out);
  args.column = reinterpret_cast<const uint4*>(column);
  args.tokens = tokens;
  args.row_bytes = static_cast<std::uint32_t>(row_bytes(cols));
  args.chunks = static_cast<int>(chunks);
  const std::size_t room = device_limits().shared_bytes - barrier_bytes;
  if (most_rows * row_bytes(cols) <= room) return launch_gather<most_rows>(args, stream, overlap);
  if (2 * row_bytes(cols) <= room) return launch_gather<2>(args, stream, overlap);
  return launch_gather<1>(args, stream, overlap);
}

}  // namespace cross::kernels::cuda
