// The packers of the CUDA device family's formats; pack_gpu picks one.
#pragma once

#include "compiler/pack/gpu/pack_gpu.h"

namespace cross::compiler {

std::vector<std::byte> pack_delta(const MatrixView& weight, DType dtype, int bits, const GpuTarget& target,
                                  int threads, std::int64_t& kept);

std::vector<std::byte> pack_bitmap_planes(const MatrixView& weight, DType dtype, const GpuTarget& target,
                                          int threads, std::int64_t& kept);
/// Empty, or the first group of four columns that keeps more than two weights.
std::string two_four_refuses(const MatrixView& weight, DType dtype);
std::vector<std::byte> pack_two_four(const MatrixView& weight, DType dtype, int threads, std::int64_t& kept);
/// Empty, or where a weight is Inf or NaN.
std::string split_blocks_refuses(const MatrixView& weight);
std::vector<std::byte> pack_split_blocks(const MatrixView& weight, int threads, std::int64_t& kept);
std::vector<std::byte> pack_two_four_overflow(const MatrixView& weight, DType dtype, int threads,
                                              std::int64_t& kept);
std::vector<std::byte> pack_column_vectors(const MatrixView& weight, DType dtype, int threads,
                                           std::int64_t& kept);
std::vector<std::byte> pack_row_lists(const MatrixView& weight, int threads, std::int64_t& kept);
std::vector<std::byte> pack_block_tiles(const MatrixView& weight, DType dtype, int threads,
                                        std::int64_t& kept);

}  // namespace cross::compiler
