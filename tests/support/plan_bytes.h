// Plan files taken apart and put together again, so that their contents can be wrong while every checksum is
// right.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace cross::testing {

struct PlanParts {
  struct Tensor {
    std::string name;
    std::string type;  ///< as safetensors names it, e.g. "U8"
    std::vector<std::int64_t> shape;
    std::string bytes;
  };
  std::string version;
  nlohmann::json description;
  std::vector<Tensor> tensors;

  Tensor& tensor(std::string_view name);
};

/// Takes a valid plan file apart.
PlanParts open_plan(const std::string& file);

/// The parts as a file. Checksums of the tensors that the description already gives one, and of the
/// description, are made right.
std::string close_plan(PlanParts parts);

/// The same with `text` as the description, whatever it is.
std::string close_plan(const PlanParts& parts, const std::string& text);

}  // namespace cross::testing
