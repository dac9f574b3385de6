// The fastest of cuBLASLt's algorithms for a problem: the dense side of every comparison.
#pragma once

#include <string>
#include <vector>

#include "cross/cuda.h"
#include "cuda/dense_product.h"
#include "cuda/memory.h"

namespace cross::cuda {

/// Whether a product takes so long that neither caches nor the events' own cost show.
bool runs_long(const DenseProblem& problem);

/// Dense weights, x, y and workspace for timing one problem; as many copies of the weights as keep them out
/// of the cache. Contents are random: at large token counts the GPU's power limit makes zeros faster than
/// values.
class DenseBench {
 public:
  /// @param density of the weights: zeros cost less power
  DenseBench(const DenseProblem& problem, const DeviceInfo& device, double density = 1.0);

  int copies() const { return copies_; }
  void enqueue(const DenseProduct& product, int launch, void* stream) const;
  const DenseProblem& problem() const { return problem_; }
  /// Enqueues products of fewer tokens from now on: at most those of construction.
  void use(std::int64_t tokens) { problem_.tokens = tokens; }
  /// Launches per replay: every copy once, and enough that the events' own cost does not show.
  int launches() const;
  /// Gives every copy these weights, and x these activations; an empty span leaves what was there.
  void fill(std::span<const std::byte> weights, std::span<const std::byte> x) const;
  const DeviceBuffer& y() const { return y_; }

 private:
  DenseProblem problem_;
  int copies_;
  std::size_t stride_;  ///< bytes from one copy of the weights to the next
  DeviceBuffer weights_, x_, y_, workspace_;
};

struct BestDense {
  std::unique_ptr<DenseProduct> product;
  double us = 0;
  int tried = 0;  ///< algorithms
};

/// Times up to `most` suggestions for each of two workspace limits by graph replays over rotated weights,
/// then the best few again. InternalError if the library suggests nothing.
BestDense best_algorithm(const Library& library, const DenseBench& bench, int most = 32,
                         PartialSums sums = PartialSums::fp32);

}  // namespace cross::cuda
