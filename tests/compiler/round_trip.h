// What every packed format of the CUDA device family owes: the weight comes back, bit for bit.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "compiler/pack/gpu/pack_gpu.h"
#include "plan/formats/gpu/packed.h"

namespace cross::compiler {

/// Packs bf16 weights whose bits are `bits`, checks the bytes and the count of kept weights, and decodes
/// them.
inline void expect_round_trip(const std::vector<std::uint16_t>& bits, const MatrixView& view, Format format) {
  std::int64_t kept = -1;
  ASSERT_EQ(gpu_format_refuses(view, DType::bf16, format), "");
  const auto blob = pack_gpu(view, DType::bf16, format, {}, 2, kept);
  EXPECT_EQ(formats::gpu::check(blob, format, view.rows, view.cols), "");
  EXPECT_EQ(kept,
            static_cast<std::int64_t>(bits.size()) - std::count(bits.begin(), bits.end(), std::uint16_t{0}));
  std::vector<std::uint16_t> out(bits.size());
  formats::gpu::decode(blob, [&](std::int64_t row, std::int64_t col, std::uint16_t value) {
    out[static_cast<std::size_t>(row * view.cols + col)] = value;
  });
  EXPECT_EQ(out, bits);
}

}  // namespace cross::compiler
