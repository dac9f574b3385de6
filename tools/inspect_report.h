// What `cross inspect` knows of a model, and how it is shown.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cross/analysis.h"
#include "cross/model.h"

namespace cross::cli {

/// One layer that would be compiled.
struct InspectedLayer {
  std::string name;  ///< of the tensor
  std::string type;  ///< as the file has it
  std::string reason;
  MatrixAnalysis analysis;  ///< without its maps
};

/// One tensor that is left alone.
struct LeftAlone {
  std::string name, type, reason;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes = 0;
};

struct Inspection {
  std::string model;
  std::vector<InspectedLayer> layers;
  std::vector<LeftAlone> others;
};

std::string inspection_text(const Inspection& inspection);
nlohmann::ordered_json inspection_json(const Inspection& inspection);

}  // namespace cross::cli
