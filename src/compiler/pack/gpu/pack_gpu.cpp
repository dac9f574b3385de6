#include "compiler/pack/gpu/pack_gpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "compiler/pack/gpu/formats.h"
#include "compiler/pack/gpu/kept_rows.h"
#include "compiler/pack/gpu/pack_cross_panels.h"
#include "cross/error.h"
#include "plan/formats/gpu/delta.h"
#include "plan/formats/gpu/packed.h"

namespace cross::compiler {

std::vector<std::int32_t> rows_by_count(const std::vector<std::int64_t>& count) {
  std::vector<std::int32_t> order(count.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return count[static_cast<std::size_t>(a)] > count[static_cast<std::size_t>(b)];
  });
  return order;
}

std::vector<std::int64_t> count_rows(const MatrixView& weight, DType dtype, int threads) {
  std::vector<std::int64_t> count(static_cast<std::size_t>(weight.rows));
#pragma omp parallel for schedule(static) num_threads(threads)
  for (std::int64_t r = 0; r < weight.rows; ++r) {
    std::int64_t sum = 0;
    for (std::int64_t c = 0; c < weight.cols; ++c) sum += half_bits(weight, dtype, r, c) != 0 ? 1 : 0;
    count[static_cast<std::size_t>(r)] = sum;
  }
  return count;
}

std::string gpu_format_refuses(const MatrixView& weight, DType plan_dtype, Format format) {
  if (std::find(std::begin(gpu_formats), std::end(gpu_formats), format) == std::end(gpu_formats))
    return fmt::format("{} is no format of the CUDA device family", name_of(format));
  if (!formats::gpu::holds(format, plan_dtype))
    return plan_dtype == DType::fp32 ? "it holds 16-bit values only" : "it holds fp32 values only";
  if (weight.rows < 1 || weight.cols < 1) return "the matrix is empty";
  if (weight.rows > std::numeric_limits<std::int32_t>::max() - 8 ||
      weight.cols > std::numeric_limits<std::int32_t>::max() - 8)
    return "the matrix has more than 2^31 rows or columns";
  if ((format == Format::delta4 || format == Format::delta8) &&
      !formats::gpu::delta_takes(weight.rows, weight.cols))
    return "the matrix has too many rows or columns for the directories of this format";
  if (format == Format::two_four) return two_four_refuses(weight, plan_dtype);
  if (format == Format::split_blocks) return split_blocks_refuses(weight);
  return {};
}

std::vector<std::byte> pack_gpu(const MatrixView& weight, DType plan_dtype, Format format,
                                const GpuTarget& target, int threads, std::int64_t& kept,
                                CrossDecision* decision) {
  if (const std::string why = gpu_format_refuses(weight, plan_dtype, format); !why.empty())
    throw InternalError("pack: " + why);
  switch (format) {
    case Format::delta4:
      return pack_delta(weight, plan_dtype, 4, target, threads, kept);
    case Format::delta8:
      return pack_delta(weight, plan_dtype, 8, target, threads, kept);
    case Format::bitmap_planes:
      return pack_bitmap_planes(weight, plan_dtype, target, threads, kept);
    case Format::two_four:
      return pack_two_four(weight, plan_dtype, threads, kept);
    case Format::cross_panels:
      return pack_cross_panels(weight, target, threads, kept, decision);
    case Format::block_tiles:
      return pack_block_tiles(weight, plan_dtype, threads, kept);
    case Format::split_blocks:
      return pack_split_blocks(weight, threads, kept);
    case Format::two_four_overflow:
      return pack_two_four_overflow(weight, plan_dtype, threads, kept);
    case Format::column_vectors:
      return pack_column_vectors(weight, plan_dtype, threads, kept);
    case Format::row_lists:
      return pack_row_lists(weight, threads, kept);
    default:
      throw InternalError("pack: not a format of the CUDA device family");
  }
}

}  // namespace cross::compiler
