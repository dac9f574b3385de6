#include "kernels/cuda/launch.h"
#include "kernels/cuda/prefill/transpose_columns.h"
#include "kernels/cuda/ptx.cuh"

namespace cross::kernels::cuda {
namespace {

constexpr int transpose_threads = 256;
constexpr int warp_cols = 32;

struct TransposeArgs {
  const std::byte* x;
  std::byte* out;
  const std::uint32_t* wanted;  ///< nullptr: all columns
  std::int64_t tokens, cols;
  std::int32_t strips;  ///< of 32 columns
  std::int32_t spread;  ///< the bits of c mod 8 that move the units of column c: 7 or 0
};

/// A warp has 64 tokens of 32 columns, a lane eight of either: it reads 16 bytes of every token, past the
/// last one that again, and writes 16 of every column.
__global__ void __launch_bounds__(transpose_threads) transpose_kernel(const TransposeArgs args) {
  const int lane = static_cast<int>(threadIdx.x) & 31, unit = lane % 8;
  const auto warp = static_cast<std::int64_t>(blockIdx.x) * (transpose_threads / 32) + (threadIdx.x >> 5);
  const std::int64_t block = warp / args.strips;
  const std::int64_t token = block * transposed_tokens + unit * 8;
  const std::int64_t col = (warp - block * args.strips) * warp_cols + lane / 8 * 8;
  const bool there = block * transposed_tokens < args.tokens && col < args.cols;
  std::uint32_t wanted = there ? 0xffu : 0u;
  if (there && args.wanted != nullptr) wanted = __ldg(args.wanted + col / 32) >> (col % 32) & 0xffu;
  wait_for_predecessor();
  let_successor_start();
  if (wanted == 0) return;
  uint4 v[8];  // of a token: eight columns
#pragma unroll
  for (int n = 0; n < 8; ++n)
    v[n] = *reinterpret_cast<const uint4*>(args.x + (min(token + n, args.tokens - 1) * args.cols + col) * 2);
  std::byte* const to = args.out + (block * args.cols + col) * transposed_column_bytes;
#pragma unroll
  for (int c = 0; c < 8; ++c) {
    if ((wanted >> c & 1u) == 0) continue;
    const auto pair = [&](int n) {
      return pick_bytes((&v[n].x)[c / 2], (&v[n + 1].x)[c / 2], c % 2 == 0 ? 0x5410 : 0x7632);
    };
    *reinterpret_cast<uint4*>(to + c * transposed_column_bytes + (unit ^ (c & args.spread)) * 16) =
        make_uint4(pair(0), pair(2), pair(4), pair(6));
  }
}

}  // namespace

int enqueue_transposed(const void* x, void* out, const std::uint32_t* wanted, ColumnUnits units,
                       std::int64_t tokens, std::int64_t cols, void* stream, bool overlap) {
  TransposeArgs args{};
  args.x = static_cast<const std::byte*>(x);
  args.out = static_cast<std::byte*>(out);
  args.wanted = wanted;
  args.spread = units == ColumnUnits::spread ? 7 : 0;
  args.tokens = tokens;
  args.cols = cols;
  args.strips = static_cast<std::int32_t>((cols + warp_cols - 1) / warp_cols);
  constexpr int warps_of_cta = transpose_threads / 32;
  const std::int64_t ctas = (transposed_blocks(tokens) * args.strips + warps_of_cta - 1) / warps_of_cta;
  return launch(transpose_kernel, static_cast<int>(ctas), transpose_threads, 0, stream, overlap, args);
}

}  // namespace cross::kernels::cuda
