#include "gpu/weights.h"

#include <fmt/format.h>

#include <algorithm>

namespace cross_bench {
namespace {

std::uint64_t mixed(std::uint64_t v) {
  v += 0x9e3779b97f4a7c15u;
  v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
  v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
  return v ^ (v >> 31);
}

std::uint64_t hash_of(std::uint64_t seed, std::int64_t row, std::int64_t col) {
  return mixed(mixed(seed * 0x632be59bd9b4e019u + static_cast<std::uint64_t>(row)) +
               static_cast<std::uint64_t>(col));
}

/// Sign, one of the four exponents below 1, and mantissa from random bits.
std::uint16_t value_of(std::uint64_t hash, cross::DType dtype) {
  const auto sign = static_cast<std::uint32_t>(hash >> 63) << 15;
  const auto step = static_cast<std::uint32_t>(hash >> 61 & 3);
  const auto mantissa = static_cast<std::uint32_t>(hash >> 40);
  if (dtype == cross::DType::bf16)
    return static_cast<std::uint16_t>(sign | (123 + step) << 7 | (mantissa & 0x7f));
  return static_cast<std::uint16_t>(sign | (11 + step) << 10 | (mantissa & 0x3ff));
}

std::uint32_t threshold_of(double density) {
  return static_cast<std::uint32_t>(std::clamp(density, 0.0, 1.0) * 4294967295.0);
}

template <class Keep>
Weight made(cross::DType dtype, const Shape& shape, std::uint64_t seed, Keep keep) {
  Weight weight{dtype, shape, std::vector<std::uint16_t>(static_cast<std::size_t>(shape.rows * shape.cols))};
#pragma omp parallel for schedule(static)
  for (std::int64_t r = 0; r < shape.rows; ++r)
    for (std::int64_t c = 0; c < shape.cols; ++c) {
      const std::uint64_t hash = hash_of(seed, r, c);
      if (keep(r, c, static_cast<std::uint32_t>(hash)))
        weight.bits[static_cast<std::size_t>(r * shape.cols + c)] = value_of(hash, dtype);
    }
  return weight;
}

}  // namespace

std::string text_of(const Shape& shape) { return fmt::format("{}x{}", shape.rows, shape.cols); }

double Weight::density() const {
  const auto zeros = std::count(bits.begin(), bits.end(), std::uint16_t{0});
  return 1.0 - static_cast<double>(zeros) / static_cast<double>(bits.size());
}

Weight masked_weight(cross::DType dtype, const Shape& shape, std::uint64_t seed,
                     const std::function<double(std::int64_t, std::int64_t)>& density) {
  return made(dtype, shape, seed, [&](std::int64_t r, std::int64_t c, std::uint32_t random) {
    return random <= threshold_of(density(r, c)) && density(r, c) > 0;
  });
}

Weight iid_weight(cross::DType dtype, const Shape& shape, double density, std::uint64_t seed) {
  const std::uint32_t threshold = threshold_of(density);
  return made(dtype, shape, seed, [=](std::int64_t, std::int64_t, std::uint32_t random) {
    return random <= threshold && density > 0;
  });
}

Weight n_m_weight(cross::DType dtype, const Shape& shape, int keep, int group, std::uint64_t seed) {
  // A position is kept if fewer than `keep` of its group have a smaller hash.
  return made(dtype, shape, seed, [=](std::int64_t r, std::int64_t c, std::uint32_t random) {
    const std::int64_t first = c / group * group;
    int before = 0;
    for (std::int64_t other = first; other < first + group; ++other)
      before += other != c && static_cast<std::uint32_t>(hash_of(seed, r, other)) < random ? 1 : 0;
    return before < keep;
  });
}

Weight region_weight(cross::DType dtype, const Shape& shape, double least, double most, std::uint64_t seed) {
  constexpr std::int64_t extent = 128;
  return masked_weight(dtype, shape, seed, [=](std::int64_t r, std::int64_t c) {
    const auto draw = static_cast<std::uint32_t>(hash_of(seed + 77, r / extent, c / extent));
    return 1.0 - (least + (most - least) * static_cast<double>(draw) / 4294967295.0);
  });
}

}  // namespace cross_bench
