#include "kernels/cuda/launch.h"
#include "kernels/cuda/prefill/transpose_columns.cuh"

namespace cross::kernels::cuda {
namespace {

constexpr int transpose_threads = 256;
__global__ void __launch_bounds__(transpose_threads) transpose_kernel(const TransposeArgs args) {
  const auto warp = static_cast<std::int64_t>(blockIdx.x) * (transpose_threads / 32) + (threadIdx.x >> 5);
  TransposedUnit unit(args, warp, static_cast<int>(threadIdx.x) & 31);
  wait_for_predecessor();
  let_successor_start();
  if (!unit.any()) return;
  unit.load(args);
  unit.store(args);
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
  args.strips = static_cast<std::int32_t>(transposed_strips(cols));
  constexpr int warps_of_cta = transpose_threads / 32;
  const std::int64_t ctas = (transposed_blocks(tokens) * args.strips + warps_of_cta - 1) / warps_of_cta;
  return launch(transpose_kernel, static_cast<int>(ctas), transpose_threads, 0, stream, overlap, args);
}

}  // namespace cross::kernels::cuda
