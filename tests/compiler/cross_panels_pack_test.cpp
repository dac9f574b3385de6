// Packing fp32 weights for two kinds of unit: round trip, shares of the units, schedules, damage.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "compiler/damage.h"
#include "compiler/pack/gpu/pack_cross_panels.h"
#include "plan/formats/gpu/blob.h"
#include "plan/formats/gpu/cross_panels.h"

namespace cross::compiler {
namespace {

using formats::gpu::CrossChunk;
using formats::gpu::CrossPanelsHeader;
using formats::gpu::CrossStep;
using formats::gpu::element;
using formats::gpu::read_header;
using Bytes = std::vector<std::byte>;
using Units = CrossPanelsOptions::Units;
using Policy = CrossPanelsOptions::Policy;

/// Each position kept with probability `density`; values in ±[1/2, 1), or any bits but zero.
struct Weight {
  std::vector<std::uint32_t> bits;
  MatrixView view;

  Weight(std::int64_t rows, std::int64_t cols, double density, bool any_bits = false)
      : bits(static_cast<std::size_t>(rows * cols)) {
    std::mt19937 random(static_cast<unsigned>(rows * 31 + cols));
    std::bernoulli_distribution keep(density);
    for (auto& b : bits) {
      const auto r = static_cast<std::uint32_t>(random());
      const std::uint32_t value = any_bits ? r | 1u : (r & 0x807fffffu) | 0x3f000000u;
      b = keep(random) ? value : 0u;
    }
    view = {DType::fp32, rows, cols, reinterpret_cast<const std::byte*>(bits.data())};
  }
};

Bytes packed(const Weight& weight, const GpuTarget& target = {}, CrossDecision* decision = nullptr) {
  std::int64_t kept = -1;
  auto blob = pack_cross_panels(weight.view, target, 2, kept, decision);
  EXPECT_EQ(kept, static_cast<std::int64_t>(weight.bits.size()) -
                      std::count(weight.bits.begin(), weight.bits.end(), 0u));
  return blob;
}

GpuTarget half_gathered(int sms) {
  GpuTarget target;
  target.sms = sms;
  target.cross.units = Units::fraction;
  target.cross.gather_fraction = 0.5;
  return target;
}

std::string check(const Bytes& blob, std::int64_t rows, std::int64_t cols) {
  return formats::gpu::check(blob, Format::cross_panels, rows, cols);
}

struct Case {
  std::int64_t rows, cols;
  double density;
};

class CrossPanelsPack : public testing::TestWithParam<Case> {};

TEST_P(CrossPanelsPack, DecodesToTheWeightHoweverItIsShared) {
  const auto [rows, cols, density] = GetParam();
  for (const bool any_bits : {false, true}) {
    const Weight weight(rows, cols, density, any_bits);
    for (const Units units :
         {Units::balanced, Units::all_tensor, Units::all_gather, Units::bands_only, Units::fraction})
      for (const Policy policy :
           {Policy::automatic, Policy::same, Policy::paired, Policy::longest_first, Policy::even_cut}) {
        GpuTarget target = half_gathered(132);
        target.cross.units = units;
        target.cross.policy = policy;
        const Bytes blob = packed(weight, target);
        ASSERT_EQ(check(blob, rows, cols), "");
        std::vector<std::uint32_t> out(weight.bits.size());
        formats::gpu::decode(blob, [&](std::int64_t row, std::int64_t col, std::uint32_t bits) {
          out[static_cast<std::size_t>(row * weight.view.cols + col)] = bits;
        });
        ASSERT_EQ(out, weight.bits);
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, CrossPanelsPack,
                         testing::Values(Case{1, 1, 1}, Case{3, 7, 0.5}, Case{64, 64, 0}, Case{128, 64, 1},
                                         Case{129, 65, 0.3}, Case{256, 64, 0.5}, Case{257, 1031, 0.03},
                                         Case{700, 500, 0.2}));

/// Row 70 keeps column 8 of the second K step: half 1, warp 0, lane 4 · 6, register 4.
TEST(CrossPanelsPack, BytesAreAsDocumented) {
  Weight weight(80, 100, 0);
  weight.bits[70 * 100 + 64 + 8] = 0x3f800001u;
  GpuTarget target;
  target.cross.units = Units::all_tensor;
  const Bytes blob = packed(weight, target);
  const auto h = read_header<CrossPanelsHeader>(blob);
  const auto step = element<CrossStep>(blob, h.steps, 0);
  EXPECT_EQ(step.k_step, 1u);
  EXPECT_EQ(step.units[0], 0u);
  EXPECT_EQ(step.units[1] * 16u, 784u);
  const std::uint64_t at = h.values + std::uint64_t{step.at} * 16;
  EXPECT_EQ(element<std::uint32_t>(blob, at, 4), 1u << 24);
  EXPECT_EQ(element<std::uint16_t>(blob, at + 512, 4), 0u);
  EXPECT_EQ(element<std::uint16_t>(blob, at + 512, 5), 4u);
  EXPECT_EQ(element<std::uint32_t>(blob, at + 768, 0), 0x3f800001u);
  EXPECT_EQ(element<std::int32_t>(blob, h.exponents, 70), 14);

  target.cross.units = Units::all_gather;
  const Bytes gathered = packed(weight, target);
  const auto g = read_header<CrossPanelsHeader>(gathered);
  const auto chunk = element<CrossChunk>(gathered, g.chunks, 0);
  EXPECT_EQ(chunk.k_step[0], 1u);
  EXPECT_EQ(chunk.pairs, 1u);
  const std::uint64_t lists = g.values + std::uint64_t{chunk.at} * 16;
  EXPECT_EQ(element<std::uint16_t>(gathered, lists, 17), 0u);  // rows 68 … 71
  EXPECT_EQ(element<std::uint16_t>(gathered, lists, 18), 1u);
  EXPECT_EQ(element<std::uint32_t>(gathered, lists + 80, 4), 0x3f800001u);
  EXPECT_EQ(element<std::uint16_t>(gathered, lists + 80 + 32, 4), 128u * 8);
  EXPECT_EQ(element<std::uint16_t>(gathered, lists + 80 + 32, 0), 32768u);
}

TEST(CrossPanelsPack, WhatCannotBeSplitGoesToCudaCores) {
  Weight weight(128, 256, 0.5);
  weight.bits[5 * 256 + 130] = 0x7f800000u;  // Inf, in the third K step
  GpuTarget target;
  target.cross.units = Units::all_tensor;
  CrossDecision decision;
  packed(weight, target, &decision);
  EXPECT_EQ(decision.tensor_steps, 3);
  EXPECT_EQ(decision.gathered_steps, 1);
}

TEST(CrossPanelsPack, EmptyBlocksCostNothing) {
  Weight weight(256, 1024, 0.5);
  for (std::size_t i = 0; i < weight.bits.size(); ++i)
    if (i % 1024 >= 128) weight.bits[i] = 0;
  CrossDecision decision;
  packed(weight, {}, &decision);
  EXPECT_EQ(decision.bands.empty, 2 * 14);
  EXPECT_EQ(decision.tensor_steps + decision.gathered_steps, 2 * 2);
}

TEST(CrossPanelsPack, BalanceIsNeverWorseThanItsStart) {
  for (const double density : {0.005, 0.02, 0.05, 0.1, 0.3, 0.7}) {
    CrossDecision decision;
    packed(Weight(512, 2048, density), {}, &decision);
    EXPECT_LE(decision.after, decision.all_tensor * 1.0001) << density;
  }
}

TEST(CrossPanelsPack, EvenCutsAreEven) {
  GpuTarget target;
  target.cross.policy = Policy::even_cut;
  CrossDecision decision;
  packed(Weight(2048, 4096, 0.3), target, &decision);
  for (const double imbalance : {decision.imbalance[1], decision.imbalance[7]}) EXPECT_LT(imbalance, 1.15);
}

/// Any flipped bit is found, or leaves a matrix whose weights lie inside.
TEST(CrossPanelsPack, DamageIsRefusedOrHarmless) {
  const Bytes blob = packed(Weight(300, 200, 0.1), half_gathered(4));
  expect_damage_refused_or_harmless(blob, Format::cross_panels, 300, 200, sizeof(CrossPanelsHeader), 500);
}

/// One change each, and the words that say which.
TEST(CrossPanelsPack, DamageIsNamed) {
  const Bytes blob = packed(Weight(600, 900, 0.2), half_gathered(8));
  const auto h = read_header<CrossPanelsHeader>(blob);
  const auto step = element<CrossStep>(blob, h.steps, 0);
  const auto chunk = element<CrossChunk>(blob, h.chunks, 0);
  struct Change {
    std::uint64_t at;
    std::uint32_t value;
    const char* words;
  };
  const std::uint64_t lists = h.values + chunk.at * 16u;
  const Change changes[] = {
      {h.exponents, 900, "exponent 900"},
      {h.steps, 99, "K step 99 of 15"},
      {h.steps + 4, ~0u, "leave the values"},
      {h.values + step.at * 16u, ~0u, "begins at"},
      {h.chunks + 16, 5, "5 K steps"},
      {h.chunks + 28, chunk.pairs + 1, "pairs"},
      {lists + 80 + chunk.pairs * 32u, 32896, "names place"},
      {h.panel_steps, 1, "begin at 1"},
      {h.piece_list + 8, 1000, "schedule of 1 token tiles"},
  };
  for (const Change& change : changes) {
    Bytes damaged = blob;
    std::memcpy(damaged.data() + change.at, &change.value, 4);
    const std::string error = check(damaged, 600, 900);
    EXPECT_NE(error.find(change.words), std::string::npos) << change.words << ": " << error;
  }
}

}  // namespace
}  // namespace cross::compiler
