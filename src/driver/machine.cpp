#include "driver/machine.h"

#include <cpuid.h>
#include <fmt/format.h>
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "cross/error.h"
#include "kernels/dense/dense_product.h"
#include "kernels/isa.h"
#include "kernels/table.h"

namespace cross::driver {
namespace {

__attribute__((target("clflushopt"))) void flush_lines_fast(const std::byte* at, std::size_t size) {
  for (std::size_t i = 0; i < size; i += 64) _mm_clflushopt(const_cast<std::byte*>(at) + i);
}

// CPUID leaf 7, EBX bit 23. Not __builtin_cpu_supports: clang does not know this feature's name.
bool has_clflushopt() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 23 & 1) != 0;
}

double percentile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}

}  // namespace

int resolve_threads(int threads) {
  if (threads < 0 || threads > 1024)
    throw UsageError(
        fmt::format("--threads {} makes no sense; use 1 to 1024, or 0 for one per core", threads));
  return threads == 0 ? available_cores() : threads;
}

ProfileKey this_machine(int threads) {
  ProfileKey key;
  key.device = "cpu";
  key.name = kernels::cpu_name();
  key.isa = kernels::name_of(kernels::active_isa());
  key.threads = threads;
  key.kernel_table = kernels::table_version;
  for (const auto library : kernels::dense_libraries()) {
    if (!key.libraries.empty()) key.libraries += ", ";
    key.libraries += fmt::format("{} {}", name_of(library), kernels::dense_library_version(library));
  }
  return key;
}

void drop_from_caches(std::span<const std::byte> bytes) {
  if (has_clflushopt()) {
    flush_lines_fast(bytes.data(), bytes.size());
  } else {
    for (std::size_t i = 0; i < bytes.size(); i += 64) _mm_clflush(bytes.data() + i);
  }
  _mm_mfence();
}

Timing summarise(std::vector<double>& samples) {
  std::sort(samples.begin(), samples.end());
  const double median = percentile(samples, 0.5);
  return {median, median > 0 ? (percentile(samples, 0.9) - percentile(samples, 0.1)) / median : 0,
          static_cast<int>(samples.size())};
}

Timing time_cold(Executor& executor, const std::function<void()>& prepare, const std::function<void()>& work,
                 const TimingOptions& options) {
  using clock = std::chrono::steady_clock;
  const auto start = clock::now();
  std::vector<double> samples;
  prepare();
  work();
  for (;;) {
    prepare();
    executor.run([](int) {});
    const auto begin = clock::now();
    work();
    samples.push_back(std::chrono::duration<double, std::micro>(clock::now() - begin).count());
    const int count = static_cast<int>(samples.size());
    if (count < options.least) continue;
    if (count >= options.most) break;
    const double spent = std::chrono::duration<double>(clock::now() - start).count();
    if (spent < options.least_seconds) continue;
    std::vector<double> sorted = samples;
    std::sort(sorted.begin(), sorted.end());
    const bool steady =
        percentile(sorted, 0.75) - percentile(sorted, 0.25) <= options.steady * percentile(sorted, 0.5);
    if (steady || spent > options.seconds) break;
  }
  return summarise(samples);
}

}  // namespace cross::driver
