#include "cross/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <memory>

#include "cross/error.h"
#include "cross/session.h"
#include "driver/decoded_panels.h"
#include "driver/layer_runner.h"
#include "driver/layer_source.h"
#include "driver/machine.h"
#include "driver/measure.h"
#include "driver/reference_product.h"

namespace cross {
namespace {

/// Layers with more outputs are sampled: the float64 product of a large layer would take minutes.
constexpr std::int64_t checked_rows = 256;

/// The stored bits of W[row, col] after rounding to `dtype`.
std::uint32_t rounded_bits(const MatrixView& weight, DType dtype, std::int64_t row, std::int64_t col) {
  if (weight.dtype == dtype) return weight.bits(row, col);
  return bits_from_float(weight.value(row, col), dtype);
}

void compare_packing(const LayerPlan& layer, const Packing& packing, DType dtype, const MatrixView& weight,
                     WeightComparison& result) {
  std::vector<std::uint32_t> stored;  // one panel, dense
  for (std::size_t p = 0; p < driver::panel_count(layer, packing); ++p) {
    const driver::RowRange range = driver::panel_rows(layer, packing, p);
    stored.assign(static_cast<std::size_t>(range.rows * layer.cols), 0);
    driver::decode_panel(layer, packing, p, [&](int row, std::int64_t column, std::uint32_t bits) {
      stored[static_cast<std::size_t>(row * layer.cols + column)] = bits;
    });
    for (int r = 0; r < range.rows; ++r) {
      const std::int64_t row = driver::source_row(layer, packing, range.begin + r);
      for (std::int64_t c = 0; c < layer.cols; ++c) {
        const std::uint32_t got = stored[static_cast<std::size_t>(r * layer.cols + c)];
        const std::uint32_t expected = rounded_bits(weight, dtype, row, c);
        if (got == expected) continue;
        if (result.differing() == 0) {
          result.first_row = row;
          result.first_col = c;
          result.got = float_from_bits(got, dtype);
          result.expected = float_from_bits(expected, dtype);
        }
        ++(got == 0 ? result.missing : expected == 0 ? result.extra : result.changed);
      }
    }
  }
  result.positions += layer.rows * layer.cols;
}

std::int64_t differing_biases(const std::vector<float>& got, const std::vector<float>& expected) {
  if (got.size() != expected.size()) return static_cast<std::int64_t>(std::max(got.size(), expected.size()));
  std::int64_t count = 0;
  for (std::size_t i = 0; i < got.size(); ++i)
    count += std::bit_cast<std::uint32_t>(got[i]) != std::bit_cast<std::uint32_t>(expected[i]) ? 1 : 0;
  return count;
}

class Verifier {
 public:
  Verifier(const Plan& plan, const Model& model, const VerifyOptions& options)
      : plan_(plan),
        model_(model),
        options_(options),
        runner_(driver::make_runner(plan, options.device, driver::resolve_threads(options.threads))) {
    for (const std::int64_t tokens : options.tokens)
      if (tokens < 1 || tokens > (1 << 20))
        throw UsageError(fmt::format("token count {} makes no sense; use 1 to {}", tokens, 1 << 20));
  }

  VerifyReport run() {
    VerifyReport report;
    const std::vector<Candidate> candidates = model_.candidates();
    for (std::size_t i = 0; i < plan_.layers.size(); ++i) {
      if (options_.on_step) options_.on_step(i, plan_.layers.size(), plan_.layers[i].name);
      report.layers.push_back(verify_layer(i, candidates));
    }
    for (const Candidate& candidate : candidates) {
      const std::string_view name = layer_name(candidate.tensor->name);
      if (candidate.selected && !in_plan(name)) report.not_in_plan.emplace_back(name);
    }
    return report;
  }

 private:
  bool in_plan(std::string_view name) const {
    return std::any_of(plan_.layers.begin(), plan_.layers.end(), [&](const LayerPlan& layer) {
      return layer.name == name ||
             std::find(layer.parts.begin(), layer.parts.end(), name) != layer.parts.end();
    });
  }

  LayerVerification verify_layer(std::size_t index, const std::vector<Candidate>& candidates) {
    const LayerPlan& layer = plan_.layers[index];
    LayerVerification result;
    result.name = layer.name;
    result.rows = layer.rows;
    result.cols = layer.cols;
    const std::vector<std::string> parts = layer.parts.empty() ? std::vector{layer.name} : layer.parts;
    for (const std::string& part : parts) {
      const bool found = std::any_of(candidates.begin(), candidates.end(), [&](const Candidate& candidate) {
        return layer_name(candidate.tensor->name) == part && candidate.tensor->shape.size() == 2 &&
               weight_dtype(candidate.tensor->type) &&
               (parts.size() == 1 || candidate.tensor->shape[1] == layer.cols);
      });
      if (found) continue;
      result.failure = fmt::format("{} has no weight for this layer", model_.path().filename().string());
      return result;
    }
    const driver::LayerSource source(model_, parts);
    const MatrixView& weight = source.weight();
    if (weight.rows != layer.rows || weight.cols != layer.cols) {
      result.failure = fmt::format("the model's weight is {}x{}, the plan's {}x{}", weight.rows, weight.cols,
                                   layer.rows, layer.cols);
      return result;
    }
    for (const Packing& packing : layer.packings)
      compare_packing(layer, packing, plan_.dtype, weight, result.weights);
    result.weights.bias_differs = differing_biases(layer.bias, source.bias());
    source.release();
    for (const std::int64_t tokens : tokens_of(layer)) result.products.push_back(run_product(index, tokens));
    result.failure = first_failure(result);
    result.passed = result.failure.empty();
    return result;
  }

  std::vector<std::int64_t> tokens_of(const LayerPlan& layer) const {
    if (!options_.tokens.empty()) return options_.tokens;
    std::vector<std::int64_t> tokens;
    for (const Variant& variant : layer.variants) tokens.push_back(variant.tokens);
    return tokens;
  }

  ProductComparison run_product(std::size_t index, std::int64_t tokens) {
    const LayerPlan& layer = plan_.layers[index];
    const auto x = driver::make_activations(plan_.dtype, tokens, layer.cols, options_.seed);
    // NaN, so that an element that was never stored cannot pass.
    std::vector<std::byte> y(static_cast<std::size_t>(tokens * layer.rows) * size_of(plan_.dtype),
                             std::byte{0xff});
    RunArgs args;
    args.x = x.data();
    args.y = y.data();
    args.tokens = tokens;
    runner_->run(index, args);
    const auto check = driver::check_product(layer, plan_.dtype, x.data(), y.data(), tokens, checked_rows);
    return {tokens,          check.rows_checked, check.rel_error,
            check.tolerance, check.passed,       check.worst_token,
            check.worst_row, check.got,          check.expected};
  }

  static std::string first_failure(const LayerVerification& layer) {
    const WeightComparison& w = layer.weights;
    if (w.differing() != 0)
      return fmt::format(
          "{} of {} weights differ ({} missing, {} extra, {} changed); first W[{}, {}]: got {}, expected {}",
          w.differing(), w.positions, w.missing, w.extra, w.changed, w.first_row, w.first_col, w.got,
          w.expected);
    if (w.bias_differs != 0) return fmt::format("{} elements of the bias differ", w.bias_differs);
    for (const ProductComparison& p : layer.products)
      if (!p.passed)
        return fmt::format(
            "at {} tokens y[{}, {}]: got {}, expected {}; relative error {:.2e}, tolerance {:.2e}", p.tokens,
            p.worst_token, p.worst_row, p.got, p.expected, p.rel_error, p.tolerance);
    return {};
  }

  const Plan& plan_;
  const Model& model_;
  const VerifyOptions& options_;
  std::unique_ptr<driver::LayerRunner> runner_;
};

}  // namespace

bool VerifyReport::passed() const { return failed() == 0; }

std::size_t VerifyReport::failed() const {
  return static_cast<std::size_t>(std::count_if(
      layers.begin(), layers.end(), [](const LayerVerification& layer) { return !layer.passed; }));
}

VerifyReport verify(const Plan& plan, const Model& model, const VerifyOptions& options) {
  return Verifier(plan, model, options).run();
}

}  // namespace cross
