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
#include "gpu/sampled_product.h"
#include "gpu/weights.h"

namespace cross_bench {

/// Packed for a launch at few tokens and for one at many: how a format cuts K may depend on it.
struct PackedForms {
  Weight weight;
  std::vector<cross::LayerPlan> layers;  ///< one per format and bucket of token counts
  double seconds = 0;                    ///< that packing took
  std::uint64_t serial = 0;              ///< tells one from another
  const cross::LayerPlan* find(cross::Format format, std::int64_t tokens) const;
};

/// Packs a weight in every format of the device family that can hold it. Does not touch the GPU.
PackedForms pack_all(Weight weight, const cross::cuda::DeviceInfo& device,
                     const std::vector<std::int64_t>& tokens, int threads);

/// One way of running, timed.
struct Entry {
  std::string name;  ///< "delta4", "expand delta4"
  double us = 0, spread = 0;
  double chain_us = 0;      ///< launched with overlap (programmatic dependent launch); 0: not measured
  std::uint64_t bytes = 0;  ///< of packed weights
};

struct Contest {
  Shape shape;
  std::int64_t tokens = 0;
  double density = 0;
  double dense_us = 0, dense_spread = 0;  ///< the baseline: cuBLASLt's fastest algorithm of all
  double dense_plan_us = 0;               ///< what a dense plan runs: the fastest that adds in fp32
  std::vector<Entry> entries;             ///< fastest first
  /// What a plan runs: the fastest entry, or dense where that is faster.
  double best_us() const {
    return entries.empty() ? dense_plan_us : std::min(dense_plan_us, entries.front().us);
  }
  double chain_us() const;
  std::string best_name() const {
    return entries.empty() || dense_plan_us <= entries.front().us ? "dense" : entries.front().name;
  }
};

struct ContestOptions {
  double seconds = 0.03;   ///< per contest
  bool chains = true;      ///< also the fastest entry with overlap
  bool expansion = false;  ///< also expansion and cuBLASLt
};

/// Runs contests on one GPU. Dense baselines are tuned once per shape and token count and kept.
class Arena {
 public:
  explicit Arena(const cross::cuda::DeviceInfo& device);
  ~Arena();
  /// Every entry is checked against float64 before it is timed; VerificationError if one is off.
  Contest run(const PackedForms& forms, std::int64_t tokens, const ContestOptions& options = {});
  const cross::cuda::DeviceInfo& device() const { return measurer_.device(); }
  double bandwidth();  ///< GB/s of a copy, measured once

 private:
  struct Dense;
  struct Runner;
  Dense& dense(cross::DType dtype, const Shape& shape, std::int64_t tokens);
  /// Uploads what is packed, once for all token counts; forgets the matrix before.
  void take(const PackedForms& forms, bool expansion);

  cross::driver::cuda::GpuMeasurer measurer_;
  std::map<std::tuple<cross::DType, Shape, std::int64_t>, std::unique_ptr<Dense>> dense_;
  std::uint64_t taken_ = 0;  ///< serial of the forms that the following belong to
  std::vector<std::unique_ptr<Runner>> runners_;
  std::unique_ptr<SampledProduct> reference_;
  double bandwidth_ = 0;
};

}  // namespace cross_bench
