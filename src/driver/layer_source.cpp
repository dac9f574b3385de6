#include "driver/layer_source.h"

#include "cross/error.h"

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

LayerSource::LayerSource(const Model& model, const std::vector<std::string>& parts) : model_(model) {
  std::vector<MatrixView> views;
  bool any_bias = false, same_type = true;
  for (const std::string& part : parts) {
    const Tensor* tensor = model.find(part + ".weight");
    if (tensor == nullptr) tensor = model.find(part);
    if (tensor == nullptr) throw InternalError("there is no weight of a layer " + part);
    const MatrixView& view = views.emplace_back(tensor->matrix());
    if (view.cols != views.front().cols)
      throw InternalError("weights of different widths cannot be stacked: " + part);
    same_type = same_type && view.dtype == views.front().dtype;
    tensors_.push_back(tensor);
    weight_ = {view.dtype, weight_.rows + view.rows, view.cols, view.data};
    std::vector<float> bias = layer_bias(model, part, view.rows);
    any_bias = any_bias || !bias.empty();
    bias.resize(static_cast<std::size_t>(view.rows));
    bias_.insert(bias_.end(), bias.begin(), bias.end());
  }
  if (!any_bias) bias_.clear();
  if (views.size() == 1) return;
  if (!same_type) weight_.dtype = DType::fp32;
  for (std::size_t i = 0; i < views.size(); ++i) {
    append(views[i]);
    model.release(*tensors_[i]);
  }
  weight_.data = copy_.data();
}

void LayerSource::append(const MatrixView& part) {
  if (part.dtype == weight_.dtype) {
    copy_.insert(copy_.end(), part.data, part.data + part.bytes());
    return;
  }
  for (std::int64_t r = 0; r < part.rows; ++r)
    for (std::int64_t c = 0; c < part.cols; ++c) {
      const float value = part.value(r, c);
      const auto* bytes = reinterpret_cast<const std::byte*>(&value);
      copy_.insert(copy_.end(), bytes, bytes + sizeof value);
    }
}

void LayerSource::release() const {
  for (const Tensor* tensor : tensors_) model_.release(*tensor);
}

}  // namespace cross::driver
