#include "driver/layer_bias.h"

namespace cross::driver {

std::vector<float> layer_bias(const Model& model, const std::string& layer, std::int64_t rows) {
  const Tensor* tensor = model.find(layer + ".bias");
  if (tensor == nullptr || tensor->shape.size() != 1 || tensor->shape[0] != rows ||
      !weight_dtype(tensor->type))
    return {};
  const MatrixView view{*weight_dtype(tensor->type), 1, rows, tensor->bytes.data()};
  std::vector<float> bias(static_cast<std::size_t>(rows));
  for (std::int64_t r = 0; r < rows; ++r) bias[static_cast<std::size_t>(r)] = view.value(0, r);
  return bias;
}

}  // namespace cross::driver
