// Collects what a model plan is made of from a folder's tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cross/model.h"
#include "model/blueprint.h"

namespace cross::model {

/// Each call checks the tensors that it takes: InputError that names file, tensor, its shape and what
/// config.json wants.
class BlueprintBuilder {
 public:
  /// @param prefix  stands before every name in the model's files, and not in the plan.
  BlueprintBuilder(const Model& model, DType dtype, std::string prefix = {})
      : model_(model), dtype_(dtype), prefix_(std::move(prefix)) {}

  bool has(const std::string& name) const { return model_.find(prefix_ + name) != nullptr; }

  /// Rows that are looked up, in the plan's dtype: they are most of a small model's bytes.
  void table(const std::string& name, std::int64_t rows, std::int64_t cols);
  /// A vector in F32; `source` is its name in the files.
  void vector(const std::string& name, std::int64_t size, const std::string& source);
  /// A layer of the plan: weights [rows[i], cols] and, where `bias` says so, biases of the parts.
  void layer(const std::string& name, std::vector<std::string> parts, const std::vector<std::int64_t>& rows,
             std::int64_t cols, bool bias);
  /// A tensor of bytes.
  void bytes(const std::string& name, std::string_view text);

  /// A tensor as it is.
  void tensor(PlanTensor tensor) { blueprint_.part.tensors.push_back(std::move(tensor)); }

  /// What was collected; `description` is the architecture's own.
  Blueprint build(std::string description);

 private:
  const Tensor& require(const std::string& name, const std::vector<std::int64_t>& shape) const;
  void add(const std::string& name, StoredType type, std::vector<std::int64_t> shape,
           std::vector<std::byte> bytes);

  const Model& model_;
  DType dtype_;
  std::string prefix_;
  Blueprint blueprint_;
};

}  // namespace cross::model
