// bench: a plan's layers against the best dense library, in one process, with the results compared first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cross/plan.h"

namespace cross {

struct BenchOptions {
  std::vector<std::int64_t> tokens;  ///< empty: the plan's
  int threads = 0;                   ///< 0: one per core
  std::string baseline = "best";     ///< best, onednn or openblas; best or cublaslt
  std::string device;                ///< which GPU runs a CUDA plan: "cuda:1"; empty: the first
  double seconds = 0.25;  ///< per layer and token count, about, for both sides together; on GPUs, where power
                          ///< bounds both, at least 0.9 from 2048 tokens on
  std::function<void(std::size_t, std::size_t, std::string_view)>
      on_step;  ///< before each layer and token count
};

/// One layer at one token count. Times are medians; weights come from memory on both sides.
struct BenchRow {
  std::string name;
  std::int64_t m = 0, k = 0, tokens = 0;
  std::string dtype;
  double sparsity = 0;
  double dense_us = 0;
  double cross_us = 0;
  double speedup = 0;  ///< median of the ratios of neighbouring repetitions
  double spread = 0;   ///< (p90 − p10) / median of those ratios
  double rel_error =
      0;  ///< max |y − reference| / max |reference|, reference in float64 on the same rounded inputs
  double tolerance = 0;  ///< what rel_error may be
  std::string baseline;  ///< "onednn 2.6.3", …, "(fp32 on widened weights)" where the library has no bf16
  std::string kernel;    ///< what the plan runs: "index8 tile", "mixed tile", "dense onednn"
  std::uint64_t bytes_dense = 0;
  std::uint64_t bytes_plan = 0;
  double gbytes_per_s = 0;     ///< packed weights read per second by cross
  double bandwidth_share = 0;  ///< gbytes_per_s over memory_gbytes_per_s of the report
  double gflops = 0;           ///< useful work (2 · nnz · tokens) per second by cross
  double peak_share = 0;       ///< gflops over peak_gflops of the report; 0 where no peak was measured
  double imbalance = 0;        ///< measured max/mean worker time; 0 for library layers
};

struct BenchTotal {
  std::int64_t tokens = 0;
  double dense_us = 0, cross_us = 0, speedup = 0;
};

struct BenchReport {
  std::string device;              ///< CPU, ISA, threads
  double memory_gbytes_per_s = 0;  ///< measured: reads of all threads on a CPU, copies on a GPU
  double peak_gflops = 0;          ///< measured fp32 multiply-add rate of all threads
  std::vector<BenchRow> layers;
  std::vector<BenchTotal> total;
};

/// Runs every layer of the plan. Throws VerificationError, before any time of that layer is taken, if a
/// result is off.
BenchReport bench(const Plan& plan, const BenchOptions& options = {});

}  // namespace cross
