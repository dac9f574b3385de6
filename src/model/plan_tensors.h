// The tensors of a plan's model part, checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "cross/plan.h"

namespace cross::model {

class PlanTensors {
 public:
  /// `plan` has a model part and must outlive this.
  explicit PlanTensors(const Plan& plan) : plan_(plan) {}

  /// Rows in the plan's dtype; InputError unless there is a tensor [rows, cols] of that name.
  const std::byte* table(const std::string& name, std::int64_t rows, std::int64_t cols) const;
  /// Values that live as long as this. Copied: the kernels read floats, and a plan from memory may lie
  /// anywhere.
  const float* floats(const std::string& name, std::int64_t size);

 private:
  const std::byte* tensor(const std::string& name, StoredType type,
                          const std::vector<std::int64_t>& shape) const;

  const Plan& plan_;
  std::list<std::vector<float>> copies_;
};

}  // namespace cross::model
