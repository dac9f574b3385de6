// Times layers and dense products on a GPU: the compiler's Measurer, built on src/cuda.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "compiler/select/measurer.h"
#include "cuda/layer.h"
#include "cuda/replay.h"
#include "cuda/tune_dense.h"

namespace cross::driver::cuda {

/// A layer with rotated copies of its weights, activations and workspace: what is timed.
class TimedLayer {
 public:
  /// `layer` and the other arguments must outlive it; the current GPU is `device`. The shape of the layer's
  /// variants may change between uses.
  TimedLayer(const LayerPlan& layer, DType dtype, const cross::cuda::DeviceInfo& device,
             const cross::cuda::Library& library);

  /// Makes room for runs of `tokens` tokens and poisons y. Graphs captured before keep their own token count
  /// only as long as no later use needs more room: use the most tokens first.
  void use(std::int64_t tokens);
  /// Launches per replay: every copy once at least, or few that run long.
  int launches() const;
  void enqueue(int launch, void* stream, bool overlap = false) const;
  const cross::cuda::Layer& layer() const { return layer_; }
  /// x and y of the tokens in use.
  std::vector<std::byte> x() const;
  std::vector<std::byte> y() const;
  /// Only these rows of x or y, one after the other.
  std::vector<std::byte> x_of(std::span<const std::int64_t> tokens) const;
  std::vector<std::byte> y_of(std::span<const std::int64_t> tokens) const;
  void poison() const { y_.fill(0xff); }

 private:
  const LayerPlan& plan_;
  DType dtype_;
  int copies_;
  std::int64_t tokens_ = 0;
  cross::cuda::Layer layer_;
  cross::cuda::DeviceBuffer x_, y_, zeroed_, scratch_;
};

/// Median and spread of a layer's graph replays at the tokens in use.
/// @param sustained  samples of 10 ms, the first of which warms the GPU and is not counted: for products that
/// are
///                   bound by power, which are faster on a GPU that was idle
cross::cuda::Times time_layer(const TimedLayer& layer, double seconds = 0.01, bool sustained = false);

/// Dense products are tuned once per shape and remembered: layers of one model repeat shapes.
class GpuMeasurer final : public compiler::Measurer {
 public:
  /// @param most_algorithms of cuBLASLt's suggestions that are timed, per workspace limit
  explicit GpuMeasurer(const cross::cuda::DeviceInfo& device, int most_algorithms = 32);
  std::vector<std::string> libraries() const override { return {"cublaslt"}; }
  double layer_us(const LayerPlan& layer, DType dtype, std::int64_t tokens) override;
  /// Long bursts in turn where a product is bound by power: times of one side alone depend on what ran
  /// before.
  std::optional<double> speedup(const LayerPlan& layer, DType dtype, std::int64_t tokens,
                                const std::string& library) override;
  /// The same, in turn with the layer's kernel; the algorithm is searched for once per shape.
  std::optional<compiler::StructureMeasurement> sparse_library(const LayerPlan& layer, DType dtype,
                                                               std::int64_t tokens) override;
  compiler::DenseMeasurement dense(const std::string& library, DType dtype, std::int64_t rows,
                                   std::int64_t cols, bool bias, std::int64_t tokens) override;

  const cross::cuda::DeviceInfo& device() const { return device_; }
  const cross::cuda::Library& library() const { return *library_; }

 private:
  cross::cuda::DeviceInfo device_;
  int most_algorithms_;
  std::unique_ptr<cross::cuda::Library> library_;
  using Shape = std::tuple<DType, std::int64_t, std::int64_t, std::int64_t>;
  std::map<Shape, compiler::DenseMeasurement> dense_;
  std::map<Shape, std::string> sparse_algorithms_;
};

}  // namespace cross::driver::cuda
