#include "driver/reference_product.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "driver/decoded_panels.h"

namespace cross::driver {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

struct KeptWeight {
  std::int64_t column;
  float value;
};

float value_at(const std::byte* values, DType dtype, std::int64_t index) {
  if (dtype == DType::fp32) {
    float value;
    std::memcpy(&value, values + 4 * index, sizeof value);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, values + 2 * index, sizeof bits);
  return float_from_bits(bits, dtype);
}

/// Which packed rows are checked.
std::vector<bool> sample_rows(const LayerPlan& layer, const Packing& packing, std::int64_t max_rows) {
  const bool all = max_rows <= 0 || max_rows >= layer.rows;
  std::vector<bool> sampled(static_cast<std::size_t>(layer.rows), all);
  if (all) return sampled;
  for (std::int64_t i = 0; i < max_rows; ++i) {
    const std::int64_t begin = layer.rows * i / max_rows;
    const std::int64_t stride = layer.rows * (i + 1) / max_rows - begin;
    // A multiple of 7 walks through the lanes and row groups of the kernels; a fixed stride would see only
    // one.
    sampled[static_cast<std::size_t>(begin + i * 7 % stride)] = true;
  }
  sampled.front() = sampled.back() = true;
  for (std::size_t p = 0; p < panel_count(layer, packing); ++p) {
    const RowRange range = panel_rows(layer, packing, p);
    const auto begin = sampled.begin() + range.begin;
    if (std::find(begin, begin + range.rows, true) == begin + range.rows)
      begin[static_cast<std::int64_t>(p * 7) % range.rows] = true;
  }
  return sampled;
}

/// Gathers what is known of all elements compared so far.
class Comparison {
 public:
  /// A product whose partial sums can reach `magnitude`.
  void add(std::int64_t token, std::int64_t row, double got, double expected, double bound,
           double magnitude) {
    const bool overflows = std::isfinite(expected) && magnitude > std::numeric_limits<float>::max();
    if (overflows && !std::isfinite(got)) return;
    double error = std::abs(got - expected);
    if (std::isnan(expected))
      error = std::isnan(got) ? 0 : infinity;
    else if (got == expected)
      error = 0;  // infinities of the same sign
    else if (!std::isfinite(error))
      error = infinity;
    const bool fits = error == 0 || (error < infinity && error <= bound);
    check_.passed = check_.passed && fits;
    most_error_ = std::max(most_error_, error);
    if (std::isfinite(bound)) most_bound_ = std::max(most_bound_, bound);
    if (std::isfinite(expected)) most_expected_ = std::max(most_expected_, std::abs(expected));
    const double share = error == 0 ? 0 : error / bound;
    if (share <= worst_share_) return;
    worst_share_ = share;
    check_.worst_token = token;
    check_.worst_row = row;
    check_.got = got;
    check_.expected = expected;
  }

  ProductCheck finish(std::int64_t rows) {
    const auto relative = [&](double value) { return most_expected_ > 0 ? value / most_expected_ : value; };
    check_.rows_checked = rows;
    check_.rel_error = relative(most_error_);
    check_.tolerance = relative(most_bound_);
    return check_;
  }

 private:
  ProductCheck check_;
  double most_error_ = 0, most_bound_ = 0, most_expected_ = 0;
  double worst_share_ = -1;
};

void compare_row(Comparison& comparison, const std::vector<KeptWeight>& weights, const std::vector<float>& x,
                 std::int64_t cols, double bias, DType dtype, const std::byte* y, std::int64_t rows,
                 std::int64_t row, std::int64_t tokens) {
  constexpr double unit = 0x1p-24;
  const double terms = static_cast<double>(weights.size()) + 64;
  const double growth = std::min(terms, 8 * std::sqrt(terms)) * unit;
  for (std::int64_t token = 0; token < tokens; ++token) {
    const float* at = x.data() + token * cols;
    double sum = bias;
    double magnitude = std::abs(bias);
    for (const KeptWeight& weight : weights) {
      const double product = static_cast<double>(weight.value) * static_cast<double>(at[weight.column]);
      sum += product;
      magnitude += std::abs(product);
    }
    double bound = growth * magnitude + terms * 0x1p-126;
    if (dtype == DType::bf16) bound += 0x1p-8 * (std::abs(sum) + bound);
    if (dtype == DType::fp16) bound += 0x1p-11 * (std::abs(sum) + bound) + 0x1p-24;
    comparison.add(token, row, value_at(y, dtype, token * rows + row), sum, bound, magnitude);
  }
}

}  // namespace

ProductCheck check_product(const LayerPlan& layer, DType dtype, const std::byte* x, const std::byte* y,
                           std::int64_t tokens, std::int64_t max_rows) {
  const Packing& packing = layer.packings[static_cast<std::size_t>(layer.variant_for(tokens).packing)];
  const std::vector<bool> sampled = sample_rows(layer, packing, max_rows);
  std::vector<float> wide(static_cast<std::size_t>(tokens * layer.cols));
  for (std::size_t i = 0; i < wide.size(); ++i) wide[i] = value_at(x, dtype, static_cast<std::int64_t>(i));

  Comparison comparison;
  std::vector<std::vector<KeptWeight>> rows;
  for (std::size_t p = 0; p < panel_count(layer, packing); ++p) {
    const RowRange range = panel_rows(layer, packing, p);
    rows.assign(static_cast<std::size_t>(range.rows), {});
    decode_panel(layer, packing, p, [&](int row, std::int64_t column, std::uint32_t bits) {
      if (bits != 0 && sampled[static_cast<std::size_t>(range.begin + row)])
        rows[static_cast<std::size_t>(row)].push_back({column, float_from_bits(bits, dtype)});
    });
    for (int r = 0; r < range.rows; ++r) {
      if (!sampled[static_cast<std::size_t>(range.begin + r)]) continue;
      const std::int64_t row = source_row(layer, packing, range.begin + r);
      const double bias = layer.bias.empty() ? 0.0 : layer.bias[static_cast<std::size_t>(row)];
      compare_row(comparison, rows[static_cast<std::size_t>(r)], wide, layer.cols, bias, dtype, y, layer.rows,
                  row, tokens);
    }
  }
  return comparison.finish(std::count(sampled.begin(), sampled.end(), true));
}

}  // namespace cross::driver
