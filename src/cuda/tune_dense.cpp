#include "cuda/tune_dense.h"

#include <fmt/format.h>

#include <algorithm>

#include "cross/error.h"
#include "cuda/random.h"
#include "cuda/replay.h"

namespace cross::cuda {
namespace {

/// Multiply-adds of a product that runs long; fp32 takes about ten times as long as 16 bits.
constexpr double long_work = 4e10;
constexpr double fp32_factor = 10;

/// How many of a first, short look are timed again; launches of that look, some of them perhaps from the
/// cache.
constexpr std::size_t finalists = 4;
constexpr int first_look_launches = 24;

}  // namespace

bool runs_long(const DenseProblem& p) {
  const double work = static_cast<double>(p.rows * p.cols) * static_cast<double>(p.tokens);
  return (p.dtype == DType::fp32 ? fp32_factor : 1.0) * work > long_work;
}

DenseBench::DenseBench(const DenseProblem& problem, const DeviceInfo& device, double density)
    : problem_(problem), workspace_(library_workspace, "cuBLASLt's workspace") {
  const std::size_t size = size_of(problem.dtype);
  const auto bytes = static_cast<std::size_t>(problem.rows * problem.cols) * size;
  copies_ = copies_beyond_cache(bytes, device.l2_bytes);
  stride_ = (bytes + 255) / 256 * 256;
  weights_ = DeviceBuffer(stride_ * static_cast<std::size_t>(copies_), "dense weights to be timed");
  fill_random(weights_, problem.dtype, static_cast<std::int64_t>(weights_.size() / size), density, 1);
  x_ =
      DeviceBuffer(static_cast<std::size_t>(problem.tokens * problem.cols) * size, "activations to be timed");
  y_ = DeviceBuffer(static_cast<std::size_t>(problem.tokens * problem.rows) * size, "results to be timed");
  fill_random(x_, problem.dtype, problem.tokens * problem.cols, 1.0, 99);
}

void DenseBench::enqueue(const DenseProduct& product, int launch, void* stream) const {
  product.enqueue(weights_.data() + stride_ * static_cast<std::size_t>(launch % copies_), x_.data(),
                  y_.data(), nullptr, workspace_.data(), stream);
}

int DenseBench::launches() const { return runs_long(problem_) ? 2 : std::max(copies_, 16); }

void DenseBench::fill(std::span<const std::byte> weights, std::span<const std::byte> x) const {
  if (!weights.empty()) {
    weights_.upload(weights);
    weights_.repeat(stride_);
  }
  x_.upload(x);
}

BestDense best_algorithm(const Library& library, const DenseBench& bench, int most, PartialSums sums) {
  struct Timed {
    std::size_t product;
    double us;
  };
  auto products = DenseProduct::candidates(library, bench.problem(), most, sums);
  std::vector<Timed> timed;
  const auto time = [&](const DenseProduct& product, double seconds, std::size_t least, int launches) {
    Replay replay(launches, [&](int launch, void* stream) { bench.enqueue(product, launch, stream); });
    return summary(interleave({&replay}, {.seconds = seconds, .least = least})[0]).median_us;
  };
  for (std::size_t i = 0; i < products.size(); ++i)
    timed.push_back({i, time(*products[i], 0.0, 2, std::min(first_look_launches, bench.launches()))});
  if (timed.empty())
    throw InternalError(fmt::format("cuBLASLt has no algorithm for {}x{} at {} tokens", bench.problem().rows,
                                    bench.problem().cols, bench.problem().tokens));
  const auto faster = [](const Timed& a, const Timed& b) { return a.us < b.us; };
  std::sort(timed.begin(), timed.end(), faster);
  timed.resize(std::min(timed.size(), finalists));
  for (Timed& one : timed) one.us = time(*products[one.product], 0.01, 5, bench.launches());
  std::sort(timed.begin(), timed.end(), faster);
  return {std::move(products[timed.front().product]), timed.front().us, static_cast<int>(products.size())};
}

}  // namespace cross::cuda
