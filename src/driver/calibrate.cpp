#include "cross/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <tuple>
#include <vector>

#include "compiler/balance/schedule.h"
#include "compiler/cost/price.h"
#include "compiler/pack/layout.h"
#include "cross/device.h"
#include "driver/cuda/family.h"
#include "driver/machine.h"
#include "driver/measure.h"
#include "kernels/dense/dense_product.h"
#include "kernels/table.h"

namespace cross {
namespace {

using kernels::Arithmetic;

/// Large enough that call overheads are small, small enough that all of it takes about two minutes. Few
/// tokens take so little time that more rows are needed: at 90 % sparsity a call with 1024 × 1024 ends after
/// 15 µs, before memory is read at full speed, and formats with few bytes looked no faster than others.
constexpr std::int64_t cols = 1024;
constexpr std::int64_t rows_for(std::int64_t tokens) {
  return tokens <= kernels::max_dot_tokens ? 4096 : 1024;
}

const std::vector<double> densities = {0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0};
const std::vector<std::int64_t> token_counts = {1, 2, 4, 8, 16, 32, 64, 128, 512};

/// Everything is measured this often, seconds apart rather than in a row: shared machines have slow phases of
/// seconds in which everything takes half as long again, and prices are compared with one another.
constexpr std::size_t full_passes = 7;

/// What one kernel row is measured on.
struct Mask {
  double density;
  int keep = 0, group = 0;
};

std::vector<Mask> masks_for(Format format, bool quick) {
  if (format == Format::dense_panel) return {{1.0}};
  if (format == Format::n_m) return {{0.25, 1, 4}, {0.5, 2, 4}, {0.75, 3, 4}};
  std::vector<Mask> masks;
  for (const double density : densities)
    if (!quick || density == 0.1 || density == 0.5 || density == 1.0) masks.push_back({density});
  return masks;
}

std::uint32_t scramble(std::uint64_t value) {
  value *= 0x9e3779b97f4a7c15u;
  value ^= value >> 29;
  value *= 0xbf58476d1ce4e5b9u;
  return static_cast<std::uint32_t>(value >> 32);
}

/// A matrix of the plan's dtype whose kept positions follow the mask: i.i.d. elements, column vectors of four
/// rows for block, `keep` of every `group` for n_m.
std::vector<std::byte> make_weight(DType dtype, Format format, const Mask& mask, int columns_per_element,
                                   std::int64_t rows) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(rows * cols) * size_of(dtype));
  const auto threshold = static_cast<std::uint64_t>(mask.density * 4294967296.0);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c) {
      const std::int64_t unit_row = format == Format::block ? r / kernels::interleaved_rows : r;
      // index8 and block store elements: a pair of columns is kept or pruned as one, so that density is what
      // it says.
      const bool pairs = format == Format::index8 || format == Format::block;
      const std::int64_t unit_column = pairs ? c / columns_per_element : c;
      const bool kept = format == Format::n_m
                            ? (c + r) % mask.group < mask.keep
                            : scramble(static_cast<std::uint64_t>(unit_row * cols + unit_column)) < threshold;
      if (!kept) continue;
      const float value =
          0.5f + static_cast<float>(scramble(static_cast<std::uint64_t>(r * cols + c)) & 0xffu) / 256.0f;
      const auto at = static_cast<std::size_t>(r * cols + c);
      if (dtype == DType::fp32)
        reinterpret_cast<float*>(bytes.data())[at] = value;
      else
        reinterpret_cast<std::uint16_t*>(bytes.data())[at] = bf16_from_float(value);
    }
  return bytes;
}

class Calibration {
 public:
  Calibration(const CalibrateOptions& options, int threads)
      : options_(options),
        threads_(threads),
        executor_(make_openmp_executor(threads)),
        measurer_(*executor_) {}

  CostProfile run() {
    profile_.key = driver::this_machine(threads_);
    profile_.source = "measured on this machine";
    std::vector<const kernels::Kernel*> kernels;
    for (const DType dtype : {DType::fp32, DType::bf16}) {
      const Arithmetic arithmetic = kernels::arithmetic_for(dtype, kernels::active_isa());
      for (const kernels::Kernel* kernel : kernels::kernels_for(arithmetic, kernels::active_isa()))
        kernels.push_back(kernel);
      // The candidate that stores single columns where pairs are the rule.
      if (arithmetic != Arithmetic::bf16_pair) continue;
      for (const kernels::Kernel* kernel :
           kernels::kernels_for(Arithmetic::bf16_widened, kernels::active_isa()))
        if (kernel->format == Format::index8) kernels.push_back(kernel);
    }
    const std::size_t passes = options_.quick ? 1 : full_passes;
    const std::size_t steps = passes * (kernels.size() + 2);
    std::size_t step = 0;
    for (std::size_t pass = 0; pass < passes; ++pass) {
      for (const kernels::Kernel* kernel : kernels) {
        if (options_.on_step) options_.on_step(step++, steps, kernel->id());
        measure_kernel(*kernel);
      }
      for (const DType dtype : {DType::fp32, DType::bf16}) {
        if (options_.on_step) options_.on_step(step++, steps, fmt::format("dense {}", name_of(dtype)));
        measure_dense(dtype);
      }
      measurer_.forget();
    }
    return summarised();
  }

 private:
  /// One curve's measurements: per density, one median per pass.
  using Samples = std::map<double, std::vector<double>>;
  using CurveName = std::tuple<std::string, std::string, std::int64_t>;  ///< kernel, arithmetic, tokens

  std::vector<std::int64_t> tokens() const {
    return options_.quick ? std::vector<std::int64_t>{1, 8, 32, 128} : token_counts;
  }

  /// The second-best pass: free of slow phases, without trusting a single lucky one. How far the median pass
  /// lies above it says how far the price can be trusted.
  CostProfile summarised() {
    for (auto& [name, samples] : samples_) {
      PriceCurve curve{std::get<0>(name), std::get<1>(name), std::get<2>(name), 0, 0, {}};
      for (auto& [density, us] : samples) {
        std::sort(us.begin(), us.end());
        const double price = us[std::min<std::size_t>(1, us.size() - 1)];
        const double spread = us[us.size() / 2] / price - 1;
        curve.points.push_back(
            {density, price * 1000 / static_cast<double>(rows_for(curve.tokens) * cols), spread});
      }
      profile_.curves.push_back(std::move(curve));
    }
    return std::move(profile_);
  }

  void measure_kernel(const kernels::Kernel& kernel) {
    const std::string name = compiler::price_name(kernel.format, kernel.shape);
    for (const Mask& mask : masks_for(kernel.format, options_.quick)) {
      LayerPlan layer;
      for (const std::int64_t t : tokens()) {
        if (t > kernel.max_tokens()) continue;
        if (layer.rows != rows_for(t)) layer = make_layer(kernel, mask, rows_for(t));
        const std::vector<double> alike(layer.packings[0].panels.size(), 1.0);
        layer.variants[0].tokens = t;
        compiler::schedule_variant(layer.variants[0], alike, threads_, "same");
        const double us = measurer_.layer_us(layer, kernel.dtype(), t);
        samples_[{name, std::string(name_of(kernel.arithmetic)), t}][mask.density].push_back(us);
      }
    }
  }

  LayerPlan make_layer(const kernels::Kernel& kernel, const Mask& mask, std::int64_t rows) {
    const auto bytes = make_weight(kernel.dtype(), kernel.format, mask,
                                   kernels::columns_per_element(kernel.arithmetic), rows);
    const MatrixView view{kernel.dtype(), rows, cols, bytes.data()};
    LayerPlan layer;
    layer.name = kernel.id();
    layer.rows = rows;
    layer.cols = cols;
    layer.packings.push_back(compiler::pack_layout(
        view, kernel.dtype(), {},
        compiler::uniform_layout(rows, cols, compiler::panel_rows_for(rows, threads_), kernel.arithmetic,
                                 kernel.format, mask.keep, mask.group),
        threads_, layer.nnz));
    layer.variants.emplace_back();
    layer.variants[0].shape = kernel.shape;
    return layer;
  }

  void measure_dense(DType dtype) {
    for (const std::string& library : measurer_.libraries())
      for (const std::int64_t t : tokens())
        samples_[{"dense." + library, std::string(name_of(dtype)), t}][1.0].push_back(
            measurer_.dense(library, dtype, rows_for(t), cols, false, t).us);
  }

  const CalibrateOptions& options_;
  int threads_;
  std::unique_ptr<Executor> executor_;
  driver::MachineMeasurer measurer_;
  CostProfile profile_;
  std::map<CurveName, Samples> samples_;
};

}  // namespace

CostProfile calibrate(const CalibrateOptions& options) {
  const DeviceId device = parse_device(options.device);
  if (device.cuda()) return driver::cuda::calibrate(options, device.index);
  return Calibration(options, driver::resolve_threads(options.threads)).run();
}

}  // namespace cross
