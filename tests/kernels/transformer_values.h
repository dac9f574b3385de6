// Random values, and what every test of the transformer kernels runs on.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <tuple>
#include <vector>

#include "base/normal_source.h"
#include "cross/dtype.h"
#include "kernels/isa.h"
#include "kernels/transformer/transformer.h"

namespace cross::kernels::testing {

/// Values in fp32 or bf16, and what they are exactly.
struct Values {
  std::vector<std::byte> bytes;
  std::vector<double> exact;
};

inline Values draw(std::int64_t count, DType dtype, std::uint64_t seed, float scale = 1) {
  base::NormalSource normal(seed);
  Values values;
  values.bytes.resize(static_cast<std::size_t>(count) * size_of(dtype));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t bits = bits_from_float(scale * normal.next(), dtype);
    std::memcpy(values.bytes.data() + static_cast<std::size_t>(i) * size_of(dtype), &bits, size_of(dtype));
    values.exact.push_back(float_from_bits(bits, dtype));
  }
  return values;
}

inline double value_at(const std::vector<std::byte>& bytes, std::int64_t i, DType dtype) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, bytes.data() + static_cast<std::size_t>(i) * size_of(dtype), size_of(dtype));
  return float_from_bits(bits, dtype);
}

inline double tolerance(DType dtype) { return dtype == DType::fp32 ? 4e-6 : 0.01; }

/// Every instruction set, in every dtype.
class KernelsOfEveryIsa : public ::testing::TestWithParam<std::tuple<Isa, DType>> {
 protected:
  void SetUp() override {
    if (std::get<0>(GetParam()) > detected_isa()) GTEST_SKIP() << "this CPU lacks the instructions";
  }
  const TransformerKernels& kernels() const { return transformer_kernels(std::get<0>(GetParam())); }
  DType dtype() const { return std::get<1>(GetParam()); }
};

}  // namespace cross::kernels::testing
