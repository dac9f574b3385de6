#include "model/plan_tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

#include "base/quote.h"
#include "cross/error.h"

namespace cross::model {

const std::byte* PlanTensors::tensor(const std::string& name, StoredType type,
                                     const std::vector<std::int64_t>& shape) const {
  const PlanTensor* found = plan_.model->find(name);
  const auto unfit = [&](const std::string& why) {
    throw InputError(fmt::format("the plan's model: tensor {} {}", base::in_quotes(name), why));
  };
  if (found == nullptr) unfit("is missing");
  if (found->type != type || found->shape != shape)
    unfit(fmt::format("is {} [{}]; it must be {} [{}]", name_of(found->type), fmt::join(found->shape, ", "),
                      name_of(type), fmt::join(shape, ", ")));
  return found->data.bytes.data();
}

const std::byte* PlanTensors::table(const std::string& name, std::int64_t rows, std::int64_t cols) const {
  return tensor(name, plan_.dtype == DType::fp32 ? StoredType::f32 : StoredType::bf16, {rows, cols});
}

const float* PlanTensors::floats(const std::string& name, std::int64_t size) {
  const std::byte* bytes = tensor(name, StoredType::f32, {size});
  std::vector<float>& values = copies_.emplace_back(static_cast<std::size_t>(size));
  std::memcpy(values.data(), bytes, values.size() * sizeof(float));
  return values.data();
}

}  // namespace cross::model
