// One weight, packed in every format of the CUDA device family that can hold it.
#pragma once

#include <cstdint>
#include <vector>

#include "cross/plan.h"
#include "cuda/device.h"
#include "gpu/weights.h"
#include "kernels/cuda/gpu_kernel.h"

namespace cross_bench {

/// What is packed of a weight.
struct PackWhat {
  std::vector<std::int64_t> tokens;    ///< that will be run
  std::vector<cross::Format> formats;  ///< empty: all
};

/// Packed for a launch at few tokens and for one at many: how a format cuts K may depend on it.
struct PackedForms {
  Weight weight;
  std::vector<cross::LayerPlan> layers;       ///< one per format and bucket of token counts
  std::vector<std::int64_t> tokens;           ///< that it was packed for
  std::vector<cross::LayerPlan> others = {};  ///< further packings, told apart by their names
  double seconds = 0;                         ///< that packing took
  std::uint64_t serial = 0;                   ///< tells one from another
  const cross::LayerPlan* find(cross::Format format, std::int64_t tokens) const;
};

/// A weight without packings, for those that the caller adds.
PackedForms bare(Weight weight, const std::vector<std::int64_t>& tokens);

/// Packs a weight in every format of the device family that can hold it. Does not touch the GPU.
PackedForms pack_all(Weight weight, const cross::cuda::DeviceInfo& device, const PackWhat& what, int threads);

/// A layer of one segment: the whole weight as packed in `blob`, to be run at `tokens`.
cross::LayerPlan layer_of(const Weight& weight, cross::Format format, std::vector<std::byte> blob,
                          std::int64_t kept, std::int64_t tokens);
/// The only segment of a layer that pack_all made.
const cross::Segment& segment_of(const cross::LayerPlan& layer);
cross::kernels::cuda::PackedMatrix matrix_of(const cross::LayerPlan& layer, cross::DType dtype);

}  // namespace cross_bench
