#include "model/blueprint_builder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

#include "base/quote.h"
#include "cross/error.h"

namespace cross::model {
namespace {

/// The values of a tensor in another type.
std::vector<std::byte> converted(const Tensor& tensor, DType to) {
  const DType from = *weight_dtype(tensor.type);
  if (from == to) return {tensor.bytes.begin(), tensor.bytes.end()};
  const auto count = static_cast<std::int64_t>(tensor.bytes.size() / size_of(from));
  const MatrixView values{from, 1, count, tensor.bytes.data()};
  std::vector<std::byte> bytes(static_cast<std::size_t>(count) * size_of(to));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t bits = bits_from_float(values.value(0, i), to);
    std::memcpy(bytes.data() + static_cast<std::size_t>(i) * size_of(to), &bits, size_of(to));
  }
  return bytes;
}

}  // namespace

const Tensor& BlueprintBuilder::require(const std::string& name,
                                        const std::vector<std::int64_t>& shape) const {
  const std::string full = prefix_ + name;
  const Tensor* tensor = model_.find(full);
  if (tensor == nullptr)
    throw InputError(fmt::format("{}: tensor {} is missing; config.json names an architecture that has it",
                                 model_.path().string(), base::in_quotes(full)));
  if (tensor->shape != shape || !weight_dtype(tensor->type))
    throw InputError(fmt::format("{}: tensor {} is {} [{}]; config.json wants F32, F16 or BF16 [{}]",
                                 tensor->file.string(), base::in_quotes(full), name_of(tensor->type),
                                 fmt::join(tensor->shape, ", "), fmt::join(shape, ", ")));
  return *tensor;
}

void BlueprintBuilder::add(const std::string& name, StoredType type, std::vector<std::int64_t> shape,
                           std::vector<std::byte> bytes) {
  blueprint_.part.tensors.push_back({name, type, std::move(shape), Blob::own(std::move(bytes))});
}

void BlueprintBuilder::table(const std::string& name, std::int64_t rows, std::int64_t cols) {
  const Tensor& tensor = require(name, {rows, cols});
  add(name, dtype_ == DType::fp32 ? StoredType::f32 : StoredType::bf16, tensor.shape,
      converted(tensor, dtype_));
  model_.release(tensor);
}

void BlueprintBuilder::vector(const std::string& name, std::int64_t size, const std::string& source) {
  add(name, StoredType::f32, {size}, converted(require(source, {size}), DType::fp32));
}

void BlueprintBuilder::layer(const std::string& name, std::vector<std::string> parts,
                             const std::vector<std::int64_t>& rows, std::int64_t cols, bool bias) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    require(parts[i] + ".weight", {rows[i], cols});
    if (bias)
      require(parts[i] + ".bias", {rows[i]});
    else if (has(parts[i] + ".bias"))
      throw InputError(fmt::format("{}: tensor {} is there; by config.json its layer has no bias",
                                   model_.path().string(), base::in_quotes(prefix_ + parts[i] + ".bias")));
    parts[i] = prefix_ + parts[i];
  }
  blueprint_.layers.push_back({name, std::move(parts)});
}

void BlueprintBuilder::bytes(const std::string& name, std::string_view text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  const auto size = static_cast<std::int64_t>(bytes.size());
  add(name, StoredType::u8, {size}, std::move(bytes));
}

Blueprint BlueprintBuilder::build(std::string description) {
  blueprint_.part.description = std::move(description);
  return std::move(blueprint_);
}

}  // namespace cross::model
