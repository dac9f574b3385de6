#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "compiler/analyse/passes.h"

namespace cross::compiler {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Fillers of the 4-bit delta format: one for every 16 zeros in a row before a nonzero of the same matrix
/// row.
std::int64_t delta4_fillers(const Occupancy& bits) {
  std::int64_t fillers = 0;
  for (std::int64_t r = 0; r < bits.rows(); ++r) {
    std::int64_t zeros = 0;  // since the last nonzero
    for (std::uint64_t word : bits.row(r)) {
      if (word == 0) {
        zeros += 64;
        continue;
      }
      fillers += (zeros + std::countr_zero(word)) / 16;
      zeros = std::countl_zero(word);
      // Gaps inside the word matter only if it has 16 zeros in a row between set bits, which dense words have
      // not.
      std::uint64_t runs = ~word;
      for (const int step : {1, 2, 4, 8}) runs &= runs >> step;
      if (runs == 0) continue;
      int last = std::countr_zero(word);
      for (word &= word - 1; word != 0; word &= word - 1) {
        const int bit = std::countr_zero(word);
        fillers += (bit - last - 1) / 16;
        last = bit;
      }
    }
  }
  return fillers;
}

double entropy(double density) {
  if (density <= 0.0 || density >= 1.0) return 0.0;
  return -density * std::log2(density) - (1.0 - density) * std::log2(1.0 - density);
}

std::string why(const MatrixAnalysis& result) {
  const std::string& name = result.sizes[result.smallest].name;
  if (name == "bitmap") return "a mask bit per position costs less than an index per nonzero at this density";
  if (name == "delta4") return "gaps between nonzeros mostly fit 4 bits, and a mask would cost more";
  if (name == "tile_index8") return "so few nonzeros remain that a byte each costs less than a mask";
  if (name == "index16") return "so few nonzeros remain that even counting them per tile costs more";
  if (name == "n_m") {
    return fmt::format(
        "every group of {} keeps at most {}, so positions need no more than an index inside the group",
        result.n_m->group, result.n_m->keep);
  }
  if (name == "block16x16") return "nonzeros stand in whole 16x16 blocks, which need one index each";
  return "it has too few zeros for any index to pay";
}

}  // namespace

void measure_formats(const Occupancy& bits, MatrixAnalysis& result) {
  const auto value = static_cast<std::int64_t>(size_of(result.plan_dtype));
  const std::int64_t rows = result.rows, cols = result.cols, nnz = result.nnz;
  const std::int64_t elements = rows * cols;
  const auto blocks =
      std::count_if(result.maps[0].nnz.begin(), result.maps[0].nnz.end(), [](auto n) { return n > 0; });
  const std::int64_t delta_entries = nnz + delta4_fillers(bits);

  result.sizes = {
      {"dense", elements * value},
      {"bitmap", rows * ceil_div(cols, 8) + nnz * value + 4 * rows},
      {"delta4", ceil_div(delta_entries, 2) + delta_entries * value + 4 * rows},
      {"tile_index8", nnz * (1 + value) + 2 * rows * ceil_div(cols, 256)},
      {"index16", nnz * (2 + value) + 4 * rows * ceil_div(cols, 65536)},
  };
  if (result.n_m) {
    const std::int64_t slots = rows * ceil_div(cols, result.n_m->group) * result.n_m->keep;
    const std::int64_t index_bits = std::bit_width(static_cast<unsigned>(result.n_m->group)) - 1;
    result.sizes.push_back({"n_m", slots * value + ceil_div(slots * index_bits, 8)});
  }
  result.sizes.push_back({"block16x16", blocks * (256 * value + 4) + 4 * result.maps[0].rows});

  const auto smallest = std::min_element(result.sizes.begin(), result.sizes.end(),
                                         [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
  result.smallest = static_cast<std::size_t>(smallest - result.sizes.begin());
  result.entropy_bound =
      nnz * value +
      static_cast<std::int64_t>(std::ceil(static_cast<double>(elements) * entropy(result.density) / 8.0));
  if (nnz == 0) {
    result.smallest_reason = "there are no nonzeros to store";
    return;
  }
  result.smallest_reason = fmt::format(
      "{} is the smallest at {:.2f} bytes per nonzero ({:.2f}x smaller than dense): {}", smallest->name,
      static_cast<double>(smallest->bytes) / static_cast<double>(nnz),
      static_cast<double>(result.sizes[0].bytes) / static_cast<double>(smallest->bytes), why(result));
  if (smallest->name == "dense")
    result.smallest_reason = fmt::format("dense is the smallest: {}", why(result));
}

}  // namespace cross::compiler
