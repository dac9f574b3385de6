#include "report/png.h"

#include <gtest/gtest.h>

#include "cross/error.h"
#include "report/heat_map.h"

namespace cross::report {
namespace {

std::string hex(const std::vector<std::uint8_t>& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes)
    for (const int digit : {byte >> 4, byte & 15}) text += "0123456789abcdef"[digit];
  return text;
}

/// Checked once with another decoder: 3 × 2 pixels, stored.
TEST(Png, BytesOfASmallPicture) {
  const Color colors[] = {{0, 0, 0}, {255, 0, 0}, {0, 128, 255}};
  EXPECT_EQ(hex(png_of({3, 2, {0, 1, 2, 2, 1, 0}}, colors)),
            "89504e470d0a1a0a0000000d49484452000000030000000204030000006f5a7b2900000009504c5445000000ff"
            "00000080ff712635ca0000000174524e530040e6d86600000011494441547801010600f9ff00012000210000cd"
            "00438b01ac610000000049454e44ae426082");
}

TEST(Png, Base64) {
  const auto encode = [](std::vector<std::uint8_t> bytes) { return base64(bytes); };
  EXPECT_EQ(encode({}), "");
  EXPECT_EQ(encode({'f'}), "Zg==");
  EXPECT_EQ(encode({'f', 'o'}), "Zm8=");
  EXPECT_EQ(encode({'f', 'o', 'o'}), "Zm9v");
  EXPECT_EQ(encode({0xff, 0xfe, 0xfd, 0xfc}), "//79/A==");
}

TEST(Png, RefusesWhatDoesNotFit) {
  const Color colors[] = {{0, 0, 0}, {255, 255, 255}};
  EXPECT_THROW(png_of({0, 1, {}}, colors), InternalError);
  EXPECT_THROW(png_of({2, 1, {0}}, colors), InternalError);
  EXPECT_THROW(png_of({1, 1, {2}}, colors), InternalError);
}

TEST(HeatMap, StepsOfDensity) {
  EXPECT_EQ(heat_step(0, 0.6), 0);
  EXPECT_EQ(heat_step(1e-6, 0.6), 1);
  EXPECT_EQ(heat_step(0.04, 0.6), 1);
  EXPECT_EQ(heat_step(0.041, 0.6), 2);
  EXPECT_EQ(heat_step(0.6, 0.6), heat_steps);
  EXPECT_EQ(heat_step(0.9, 0.6), heat_steps);
}

TEST(HeatMap, OneScaleForAll) {
  Report report;
  report.layers.resize(2);
  report.layers[0].as_stored = {16, 1, 2, {0.1f, 0.31f}};
  report.layers[1].as_packed = {16, 1, 1, {0.5f}};
  EXPECT_DOUBLE_EQ(heat_scale(report), 0.5);
  EXPECT_EQ(heat_image(report.layers[0].as_stored, 0.5).pixels, (std::vector<std::uint8_t>{3, 10}));
  EXPECT_DOUBLE_EQ(heat_scale({}), 0.1);
}

}  // namespace
}  // namespace cross::report
