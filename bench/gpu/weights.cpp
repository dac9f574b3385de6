#include "gpu/weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "cross/error.h"
#include "driver/cuda/masked_bits.h"

namespace cross_bench {

using cross::DType;
using cross::driver::cuda::keeps;
using cross::driver::cuda::masked_bits;

std::string text_of(const Shape& shape) { return fmt::format("{}x{}", shape.rows, shape.cols); }

double Weight::density() const {
  const auto zeros = std::count(bits.begin(), bits.end(), std::uint16_t{0});
  return 1.0 - static_cast<double>(zeros) / static_cast<double>(bits.size());
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
  for (std::size_t first = 0; first < weight.bits.size(); first += static_cast<std::size_t>(group))
    if (std::count(weight.bits.begin() + static_cast<std::ptrdiff_t>(first),
                   weight.bits.begin() + static_cast<std::ptrdiff_t>(first) + group,
                   std::uint16_t{0}) != group - keep)
      throw cross::InternalError(
          fmt::format("the mask of {} does not keep {} of every {}", text_of(shape), keep, group));
  return weight;
}

Weight region_weight(DType dtype, const Shape& shape, double least, double most, std::uint64_t seed) {
  constexpr std::int64_t extent = 128;
  return masked_weight(dtype, shape, seed, [=](std::int64_t r, std::int64_t c) {
    const auto draw =
        static_cast<std::uint32_t>(cross::driver::cuda::position_hash(seed + 77, r / extent, c / extent));
    return 1.0 - (least + (most - least) * static_cast<double>(draw) / 4294967295.0);
  });
}

}  // namespace cross_bench
