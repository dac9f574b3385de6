#include "driver/cuda/unit_prices.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "compiler/balance/units.h"
#include "compiler/pack/gpu/pack_cross_panels.h"
#include "driver/cuda/masked_bits.h"
#include "driver/cuda/worker_times.h"
#include "plan/formats/gpu/blob.h"
#include "plan/formats/gpu/cross_panels.h"
#include "plan/formats/layout.h"

namespace cross::driver::cuda {
namespace {

using compiler::CrossPanelsOptions;
using Units = CrossPanelsOptions::Units;
using namespace formats::gpu;

/// Nominal clocks of an SM a µs: prices are ratios, and constants beside them are tuned at about this rate.
constexpr double clocks_per_us = 1755;

constexpr std::int64_t tokens = cross_tokens * cross_max_tiles;

/// A matrix with work for every SM: a row panel for each eight of them, eight token tiles.
class Unit {
 public:
  Unit(const cross::cuda::DeviceInfo& device, int threads)
      : device_(device), threads_(threads), rows_(cross_rows * std::max(1, device.sms / 8)) {}

  struct Run {
    double tensor = 0, gather = 0;   ///< clocks a CTA, mean
    double halves = 0, pieces = 0;   ///< of tensor steps; a CTA, mean
    double weights = 0, chunks = 0;  ///< gathered; a CTA, mean
  };

  Run run(std::int64_t cols, double density, Units units, double fraction = 0) const {
    constexpr std::uint64_t seed = 3;
    const auto bits =
        masked_bits(DType::fp32, rows_, cols, seed,
                    [&](std::int64_t, std::int64_t, std::uint32_t random) { return keeps(random, density); });
    compiler::GpuTarget target{device_.sms, device_.shared_bytes, tokens};
    target.cross.units = units;
    target.cross.gather_fraction = fraction;
    LayerPlan layer;
    layer.rows = rows_;
    layer.cols = cols;
    compiler::CrossDecision decision;
    std::vector<std::byte> blob = compiler::pack_cross_panels({DType::fp32, rows_, cols, bits.data()}, target,
                                                              threads_, layer.nnz, &decision);
    const auto header = read_header<CrossPanelsHeader>(blob);
    Run run;
    // A worker is a cluster of CTAs that share a panel's rows.
    const double tiles = cross_max_tiles / static_cast<double>(header.workers * cross_shares);
    run.halves = 2 * tiles * static_cast<double>(decision.tensor_steps);
    run.pieces = tiles * static_cast<double>(header.panels * cross_shares);
    const auto steps = static_cast<double>(decision.tensor_steps + decision.gathered_steps);
    run.weights = tiles * static_cast<double>(layer.nnz) * static_cast<double>(decision.gathered_steps) /
                  std::max(steps, 1.0);
    run.chunks = tiles * static_cast<double>(decision.gathered_steps) / cross_chunk_steps;
    Packing packing;
    packing.panels.push_back(
        {0, static_cast<int>(rows_), {{Format::cross_panels, 0, cols, 0, blob.size(), 0, 0}}});
    packing.data = Blob::own(std::move(blob));
    layer.packings.push_back(std::move(packing));
    const WorkerTimes times = worker_times(layer, device_, tokens);
    run.tensor = clocks_per_us * mean(times.tensor);
    run.gather = clocks_per_us * mean(times.gather);
    return run;
  }

 private:
  const cross::cuda::DeviceInfo& device_;
  int threads_;
  std::int64_t rows_;
};

/// a·x + b·y = c for two (a, b, c).
struct Equation {
  double a, b, c;
};
std::pair<double, double> solve(const Equation& p, const Equation& q) {
  const double determinant = p.a * q.b - q.a * p.b;
  return {(p.c * q.b - q.c * p.b) / determinant, (p.a * q.c - q.a * p.c) / determinant};
}

}  // namespace

UnitPrices measure_units(const cross::cuda::DeviceInfo& device, int threads) {
  const Unit unit(device, threads);
  UnitPrices prices;
  // Alone: two sizes tell the price of a step from that of a piece, two densities a weight's from a chunk's.
  const auto wide = unit.run(4096, 0.3, Units::all_tensor), narrow = unit.run(1024, 0.3, Units::all_tensor);
  std::tie(prices.tensor_half, prices.piece) =
      solve({wide.halves, wide.pieces, wide.tensor}, {narrow.halves, narrow.pieces, narrow.tensor});
  const auto full = unit.run(4096, 0.1, Units::all_gather), thin = unit.run(4096, 0.02, Units::all_gather);
  std::tie(prices.gather_weight, prices.gather_chunk) =
      solve({full.weights, full.chunks, full.gather}, {thin.weights, thin.chunks, thin.gather});
  prices.piece = std::max(prices.piece, 0.0);
  prices.gather_chunk = std::max(prices.gather_chunk, 0.0);

  // Together: the slow-downs that explain best when both were done.
  struct Sample {
    double dense, sparse, measured;
  };
  std::vector<Sample> samples;
  for (const double fraction : {0.15, 0.3, 0.5, 0.75}) {
    const auto both = unit.run(4096, 0.05, Units::fraction, fraction);
    samples.push_back({both.halves * prices.tensor_half,
                       both.weights * prices.gather_weight + both.chunks * prices.gather_chunk,
                       std::max(both.tensor, both.gather) - both.pieces * prices.piece});
  }
  double least = std::numeric_limits<double>::infinity();
  for (double dense = 1; dense <= 2; dense += 0.05)
    for (double sparse = 1; sparse <= 4; sparse += 0.05) {
      double error = 0;
      for (const Sample& sample : samples) {
        const double predicted = compiler::finish_time(sample.dense, sample.sparse, {true, dense, sparse});
        error += std::pow(std::log(predicted / std::max(sample.measured, 1.0)), 2);
      }
      if (error >= least) continue;
      least = error;
      prices.dense_slowdown = dense;
      prices.sparse_slowdown = sparse;
    }
  return prices;
}

}  // namespace cross::driver::cuda
