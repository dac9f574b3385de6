#include "driver/limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

#include "kernels/cpu/peak.h"
#include "kernels/isa.h"

namespace cross::driver {
namespace {

constexpr int repetitions = 5;

template <class Work>
double best_seconds(Executor& executor, Work work) {
  double best = 1e30;
  for (int i = 0; i < repetitions; ++i) {
    const auto start = std::chrono::steady_clock::now();
    executor.run(work);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

}  // namespace

double measure_bandwidth(Executor& executor) {
  const std::size_t bytes =
      std::min<std::size_t>(8 * kernels::last_level_cache_bytes(), std::size_t{256} << 20);
  std::vector<std::uint64_t> buffer(bytes / 8, 1);
  const auto workers = static_cast<std::size_t>(executor.workers());
  std::atomic<std::uint64_t> sink = 0;
  const double seconds = best_seconds(executor, [&](int worker) {
    const std::size_t begin = buffer.size() * static_cast<std::size_t>(worker) / workers;
    const std::size_t end = buffer.size() * (static_cast<std::size_t>(worker) + 1) / workers;
    // Eight sums: one chain of additions would be slower than memory.
    std::uint64_t sum[16] = {};
    for (std::size_t i = begin; i + 8 <= end; i += 8)
      for (std::size_t j = 0; j < 8; ++j) sum[j] += buffer[i + j];
    for (const std::uint64_t s : sum) sink += s;
  });
  return static_cast<double>(bytes) / seconds * 1e-9;
}

double measure_peak(Executor& executor) {
  const kernels::Peak peak = kernels::peak_of(kernels::active_isa());
  constexpr std::int64_t iterations = 200'000;
  std::atomic<float> sink = 0;
  const double seconds = best_seconds(executor, [&](int) { sink = peak.burst(iterations); });
  return static_cast<double>(peak.operations) * static_cast<double>(iterations) * executor.workers() /
         seconds * 1e-9;
}

}  // namespace cross::driver
