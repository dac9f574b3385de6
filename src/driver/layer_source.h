// What a layer of a plan is made from: the weight and bias of a layer of the model, or those of several, one
// below the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cross/model.h"

namespace cross::driver {

/// NAME.bias of a layer NAME with `rows` outputs, widened to fp32; empty if the model has none that fits.
std::vector<float> layer_bias(const Model& model, const std::string& layer, std::int64_t rows);

/// The weights of `parts` as one matrix, in their type, or in fp32 where they differ: a view of the model's
/// bytes for a single part, a copy for several.
class LayerSource {
 public:
  /// @param parts names of layers. InternalError unless each is a weight and all have the same columns.
  LayerSource(const Model& model, const std::vector<std::string>& parts);

  const MatrixView& weight() const { return weight_; }
  /// Empty if no part has one; zeros for the parts that have none beside others that do.
  const std::vector<float>& bias() const { return bias_; }
  /// Lets the pages of a view go for now.
  void release() const;

 private:
  void append(const MatrixView& part);

  const Model& model_;
  std::vector<const Tensor*> tensors_;
  std::vector<std::byte> copy_;
  MatrixView weight_;
  std::vector<float> bias_;
};

}  // namespace cross::driver
