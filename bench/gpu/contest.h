// One weight, every way of multiplying it on the GPU: packed, checked, and timed side by side.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "cross/plan.h"
#include "cuda/tune_dense.h"
#include "driver/cuda/gpu_measurer.h"
#include "gpu/packed_forms.h"
#include "gpu/sampled_product.h"

namespace cross_bench {

/// One way of running, timed.
struct Entry {
  std::string name;  ///< "delta4", "prefill bitmap_planes", "expand delta4"
  double us = 0, spread = 0;
  double chain_us = 0;      ///< launched with overlap (programmatic dependent launch); 0: not measured
  std::uint64_t bytes = 0;  ///< of packed weights
  double error = 0;         ///< largest error over the largest result of the sample
  bool first_look = false;  ///< too slow to be timed longer than at a first look
};

struct Contest {
  cross::DType dtype = cross::DType::bf16;
  Shape shape;
  std::int64_t tokens = 0;
  double density = 0;
  double burst = 0;                       ///< seconds of one sample; 0: one replay
  double dense_us = 0, dense_spread = 0;  ///< the baseline: cuBLASLt's fastest algorithm of all
  double dense_plan_us = 0;               ///< what a dense plan runs: the fastest that adds in fp32
  std::vector<Entry> entries;             ///< fastest first
  std::vector<Entry> rivals;              ///< other libraries, in the order in which they were given
  /// What a plan runs: the fastest entry, or dense where that is faster.
  double best_us() const {
    return entries.empty() ? dense_plan_us : std::min(dense_plan_us, entries.front().us);
  }
  double chain_us() const;
  std::string best_name() const {
    return entries.empty() || dense_plan_us <= entries.front().us ? "dense" : entries.front().name;
  }
  /// The fastest entry that keeps the weights once, compressed, for every token count: at most
  /// `most_over_bitmap` times the bytes of a bitmap and its values. nullptr: none.
  const Entry* stored_once() const;
  /// 2 · rows · cols · tokens / µs, as if the weights were dense.
  double tflops(double us) const;
};

/// Bytes of one mask bit a position and the kept values.
double bitmap_bytes(const Shape& shape, double density, cross::DType dtype);
inline constexpr double most_over_bitmap = 1.1;

/// Another library's way of multiplying the same weight; its caller has checked the result.
struct Rival {
  std::string name;
  std::function<void(int launch, void* stream)> enqueue;
  int copies = 1;
  bool capturable = true;  ///< into a CUDA graph
};

struct ContestOptions {
  double seconds = 0.03;   ///< per contest
  bool chains = true;      ///< also the fastest entry with overlap
  bool expansion = false;  ///< also expansion and cuBLASLt
  /// Seconds that one sample lasts; 0: one replay. Where power limits the clocks, sides take turns of so
  /// long, after a first look that leaves the fastest of each kind.
  double burst = 0;
  bool keep_all = false;  ///< no entry is left after the first look
  std::vector<Rival> rivals = {};
};

/// Runs contests on one GPU. Dense baselines multiply the same weights, zeros included; algorithms are tuned
/// once per shape and token count and kept.
class Arena {
 public:
  explicit Arena(const cross::cuda::DeviceInfo& device);
  ~Arena();
  /// Every entry is checked against float64 before it is timed; VerificationError if one is off.
  Contest run(const PackedForms& forms, std::int64_t tokens, const ContestOptions& options = {});
  const cross::cuda::DeviceInfo& device() const { return measurer_.device(); }
  const cross::cuda::Library& library() const { return measurer_.library(); }
  double bandwidth();  ///< GB/s of a copy, measured once
  /// The most that a dense product reached in this process, of any shape so far.
  double dense_tflops(cross::DType dtype) const;

 private:
  struct Dense;
  struct Runner;
  const Dense& dense(cross::DType dtype, const Shape& shape, std::int64_t tokens);
  /// Uploads what is packed, once for all token counts; forgets the matrix before.
  void take(const PackedForms& forms, bool expansion);
  /// Runs a way once and compares; its largest error.
  double checked(const Runner& runner, std::int64_t tokens) const;

  cross::driver::cuda::GpuMeasurer measurer_;
  std::map<std::tuple<cross::DType, Shape, std::int64_t>, std::unique_ptr<Dense>> dense_;
  std::map<cross::DType, double> dense_tflops_;
  std::uint64_t taken_ = 0;  ///< serial of the forms that the following belong to
  std::unique_ptr<cross::cuda::DenseBench> dense_weights_;
  std::vector<std::unique_ptr<Runner>> runners_;
  std::unique_ptr<SampledProduct> reference_;
  double bandwidth_ = 0;
};

}  // namespace cross_bench
