// The bytes in docs/formats.md are the bytes that pack writes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>

#include "compiler/pack/pack.h"

namespace cross {
namespace {

/// The matrix of the document's examples.
constexpr int rows = 3, cols = 6;
constexpr float weight[rows][cols] = {{0, 1.5f, 0, 0, 2, 0}, {0, 0, 0, 0, 0, 0}, {-0.5f, 0, 0.25f, 0, 0, 3}};

/// A fenced block "```hex FORMAT[:KEEP:GROUP] ARITHMETIC".
struct Example {
  std::string format, arithmetic;
  int keep = 0, group = 0;
  std::string bytes;  ///< two digits per byte, nothing between
};

std::vector<Example> read_examples(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::vector<Example> examples;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("```hex ")) {
      Example example;
      std::istringstream words(line.substr(7));
      words >> example.format >> example.arithmetic;
      if (const auto colon = example.format.find(':'); colon != std::string::npos) {
        char between = 0;
        std::istringstream(example.format.substr(colon + 1)) >> example.keep >> between >> example.group;
        example.format.resize(colon);
      }
      examples.push_back(example);
      inside = true;
    } else if (line.starts_with("```")) {
      inside = false;
    } else if (inside) {
      for (const char c : line)
        if (c != ' ') examples.back().bytes += c;
    }
  }
  return examples;
}

std::string packed(const Example& example) {
  const auto format = format_from_name(example.format);
  kernels::Arithmetic arithmetic = kernels::Arithmetic::fp32;
  if (example.arithmetic == "bf16_widened") arithmetic = kernels::Arithmetic::bf16_widened;
  if (example.arithmetic == "bf16_pair") arithmetic = kernels::Arithmetic::bf16_pair;
  if (!format) return "unknown format";
  const DType dtype = arithmetic == kernels::Arithmetic::fp32 ? DType::fp32 : DType::bf16;
  const MatrixView view{DType::fp32, rows, cols, reinterpret_cast<const std::byte*>(weight)};
  std::vector<std::int32_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  std::vector<std::byte> out;
  compiler::pack_segment(compiler::PanelSource(view, dtype, order), 0,
                         {*format, arithmetic, rows, cols, example.keep, example.group}, out);
  std::string text;
  for (const std::byte byte : out) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

TEST(FormatsDocument, shows_what_pack_writes) {
  const auto examples = read_examples(std::filesystem::path(CROSS_SOURCE_DIR) / "docs" / "formats.md");
  EXPECT_GE(examples.size(), 8u);
  for (const Example& example : examples)
    EXPECT_EQ(packed(example), example.bytes) << example.format << " " << example.arithmetic;
}

}  // namespace
}  // namespace cross
