#include "gpu/weights.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "cross/error.h"
#include "cross/model.h"
#include "driver/cuda/masked_bits.h"

namespace cross_bench {

using cross::DType;
using cross::driver::cuda::keeps;
using cross::driver::cuda::masked_bits;
using cross::driver::cuda::position_hash;

std::string text_of(const Shape& shape) { return fmt::format("{}x{}", shape.rows, shape.cols); }

double Weight::density() const {
  const cross::MatrixView matrix = view();
  std::int64_t kept = 0;
#pragma omp parallel for schedule(static) reduction(+ : kept)
  for (std::int64_t r = 0; r < shape.rows; ++r)
    for (std::int64_t c = 0; c < shape.cols; ++c) kept += matrix.bits(r, c) != 0 ? 1 : 0;
  return static_cast<double>(kept) / static_cast<double>(matrix.elements());
}

Weight masked_weight(DType dtype, const Shape& shape, std::uint64_t seed,
                     const std::function<double(std::int64_t, std::int64_t)>& density) {
  return {dtype, shape,
          masked_bits(dtype, shape.rows, shape.cols, seed,
                      [&](std::int64_t r, std::int64_t c, std::uint32_t random) {
                        return keeps(random, density(r, c));
                      })};
}

Weight iid_weight(DType dtype, const Shape& shape, double density, std::uint64_t seed) {
  return {
      dtype, shape,
      masked_bits(dtype, shape.rows, shape.cols, seed,
                  [=](std::int64_t, std::int64_t, std::uint32_t random) { return keeps(random, density); })};
}

Weight n_m_weight(DType dtype, const Shape& shape, int keep, int group, std::uint64_t seed) {
  Weight weight{dtype, shape,
                masked_bits(dtype, shape.rows, shape.cols, seed,
                            [=](std::int64_t r, std::int64_t c, std::uint32_t random) {
                              return cross::driver::cuda::keeps_n_m(seed, r, c, random, keep, group);
                            })};
  // A single group that keeps another count would be no N:M mask, and other formats would be measured.
  const cross::MatrixView matrix = weight.view();
  for (std::int64_t r = 0; r < shape.rows; ++r)
    for (std::int64_t first = 0; first < shape.cols; first += group) {
      int kept = 0;
      for (std::int64_t c = first; c < first + group; ++c) kept += matrix.bits(r, c) != 0 ? 1 : 0;
      if (kept != keep)
        throw cross::InternalError(
            fmt::format("the mask of {} does not keep {} of every {}", text_of(shape), keep, group));
    }
  return weight;
}

Weight block_weight(DType dtype, const Shape& shape, std::int64_t extent, double density,
                    std::uint64_t seed) {
  return masked_weight(dtype, shape, seed, [=](std::int64_t r, std::int64_t c) {
    return keeps(static_cast<std::uint32_t>(position_hash(seed + 78, r / extent, c / extent)), density) ? 1.0
                                                                                                        : 0.0;
  });
}

namespace {

/// Regions whose sparsity is least + (most − least)·u^power, u uniform in [0, 1].
Weight drawn_regions(DType dtype, const Shape& shape, double least, double most, double power,
                     std::uint64_t seed) {
  constexpr std::int64_t extent = 128;
  return masked_weight(dtype, shape, seed, [=](std::int64_t r, std::int64_t c) {
    const auto draw = static_cast<std::uint32_t>(position_hash(seed + 77, r / extent, c / extent));
    const double u = static_cast<double>(draw) / 4294967295.0;
    return 1.0 - (least + (most - least) * (power == 1 ? u : std::pow(u, power)));
  });
}

}  // namespace

Weight region_weight(DType dtype, const Shape& shape, double least, double most, std::uint64_t seed) {
  return drawn_regions(dtype, shape, least, most, 1, seed);
}

Weight region_weight_of_mean(DType dtype, const Shape& shape, double sparsity, std::uint64_t seed) {
  constexpr double least = 0.3, most = 0.99;
  // The mean of u^power is 1 / (power + 1).
  return drawn_regions(dtype, shape, least, most, (most - least) / (sparsity - least) - 1, seed);
}

Weight pattern_weight(const std::string& file, DType dtype) {
  const cross::Model model = cross::Model::load(file);
  for (const cross::Candidate& candidate : model.candidates()) {
    if (!candidate.selected) continue;
    const cross::MatrixView view = candidate.tensor->matrix();
    Weight weight{dtype, {view.rows, view.cols}, {}};
    weight.bytes.reserve(static_cast<std::size_t>(view.elements()) * size_of(dtype));
    for (std::int64_t r = 0; r < view.rows; ++r)
      for (std::int64_t c = 0; c < view.cols; ++c) {
        const std::uint32_t bits = view.bits(r, c) == 0 ? 0 : cross::bits_from_float(view.value(r, c), dtype);
        std::byte stored[4];
        std::memcpy(stored, &bits, sizeof stored);
        weight.bytes.insert(weight.bytes.end(), stored, stored + size_of(dtype));
      }
    return weight;
  }
  throw cross::UsageError(fmt::format("{}: has no weight", file));
}

}  // namespace cross_bench
