// Weights whose masks a benchmark chooses, made quickly: a hash of the position decides, on all cores.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cross/matrix.h"

namespace cross_bench {

struct Shape {
  std::int64_t rows = 0, cols = 0;
  friend auto operator<=>(const Shape&, const Shape&) = default;
};
std::string text_of(const Shape& shape);  ///< "12288x4096"

/// Llama-2-7B's four products: Q, K and V in one; O; gate and up in one; down.
inline constexpr Shape llama_shapes[] = {{12288, 4096}, {4096, 4096}, {22016, 4096}, {4096, 11008}};
inline constexpr double target_sparsities[] = {0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95};

/// A row-major matrix that owns its values.
struct Weight {
  cross::DType dtype = cross::DType::bf16;
  Shape shape;
  std::vector<std::byte> bytes;

  cross::MatrixView view() const { return {dtype, shape.rows, shape.cols, bytes.data()}; }
  double density() const;
};

/// Each position kept with its own probability; kept values are uniform-ish in ±[1/16, 1).
Weight masked_weight(cross::DType dtype, const Shape& shape, std::uint64_t seed,
                     const std::function<double(std::int64_t row, std::int64_t col)>& density);
Weight iid_weight(cross::DType dtype, const Shape& shape, double density, std::uint64_t seed);
/// Exactly `keep` of every `group` columns.
Weight n_m_weight(cross::DType dtype, const Shape& shape, int keep, int group, std::uint64_t seed);
/// Blocks of extent×extent, each kept whole with probability `density` or empty.
Weight block_weight(cross::DType dtype, const Shape& shape, std::int64_t extent, double density,
                    std::uint64_t seed);
/// Regions of 128×128 whose sparsities are drawn uniformly from [least, most].
Weight region_weight(cross::DType dtype, const Shape& shape, double least, double most, std::uint64_t seed);
/// Regions of 128×128 whose sparsities are drawn from 30 to 99 %, sparse and dense ones so mixed that their
/// mean is `sparsity`.
Weight region_weight_of_mean(cross::DType dtype, const Shape& shape, double sparsity, std::uint64_t seed);
/// The first weight of a .smtx pattern (or another model file), in `dtype`.
Weight pattern_weight(const std::string& file, cross::DType dtype);

}  // namespace cross_bench
