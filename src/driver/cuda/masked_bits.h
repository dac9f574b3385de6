// Random weights with a chosen mask, on all cores: for calibration and benchmarks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "cross/dtype.h"

namespace cross::driver::cuda {

/// A bijective mix of 64 bits: neighbouring positions give unrelated values.
constexpr std::uint64_t mixed_bits(std::uint64_t v) {
  v += 0x9e3779b97f4a7c15u;
  v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
  v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
  return v ^ (v >> 31);
}

constexpr std::uint64_t position_hash(std::uint64_t seed, std::int64_t row, std::int64_t col) {
  return mixed_bits(mixed_bits(seed * 0x632be59bd9b4e019u + static_cast<std::uint64_t>(row)) +
                    static_cast<std::uint64_t>(col));
}

/// The bits of a value with random sign and mantissa in ±[1/16, 1).
constexpr std::uint32_t random_bits(std::uint64_t hash, DType dtype) {
  const auto sign = static_cast<std::uint32_t>(hash >> 63);
  const auto step = static_cast<std::uint32_t>(hash >> 61 & 3);
  const auto mantissa = static_cast<std::uint32_t>(hash >> 38);
  switch (dtype) {
    case DType::fp32:
      return sign << 31 | (123 + step) << 23 | (mantissa & 0x7fffff);
    case DType::fp16:
      return sign << 15 | (11 + step) << 10 | (mantissa >> 2 & 0x3ff);
    case DType::bf16:
      return sign << 15 | (123 + step) << 7 | (mantissa >> 2 & 0x7f);
  }
  return 0;
}

/// W[rows, cols], row-major in `dtype`; a position is kept where keep(row, col, r) says so, r being its
/// random 32 bits.
template <class Keep>
std::vector<std::byte> masked_bits(DType dtype, std::int64_t rows, std::int64_t cols, std::uint64_t seed,
                                   Keep keep) {
  const std::size_t size = size_of(dtype);
  std::vector<std::byte> bytes(static_cast<std::size_t>(rows * cols) * size);
#pragma omp parallel for schedule(static)
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c) {
      const std::uint64_t hash = position_hash(seed, r, c);
      if (!keep(r, c, static_cast<std::uint32_t>(hash))) continue;
      const std::uint32_t bits = random_bits(hash, dtype);
      std::byte* at = bytes.data() + static_cast<std::size_t>(r * cols + c) * size;
      if (size == 4) {
        std::memcpy(at, &bits, 4);
      } else {
        const auto half = static_cast<std::uint16_t>(bits);
        std::memcpy(at, &half, 2);
      }
    }
  return bytes;
}

/// Whether random 32 bits keep a position with probability `density`.
constexpr bool keeps(std::uint32_t random, double density) {
  return static_cast<double>(random) < density * 4294967296.0;
}

/// Whether position `col` is among the `keep` of its `group` with the smallest hashes; of equal ones the
/// first.
constexpr bool keeps_n_m(std::uint64_t seed, std::int64_t row, std::int64_t col, std::uint32_t random,
                         int keep, int group) {
  const std::int64_t first = col / group * group;
  int before = 0;
  for (std::int64_t other = first; other < first + group; ++other) {
    const auto hash = static_cast<std::uint32_t>(position_hash(seed, row, other));
    before += hash < random || (hash == random && other < col) ? 1 : 0;
  }
  return before < keep;
}

}  // namespace cross::driver::cuda
