// From a model's folder to what a model plan is made of.
#pragma once

#include <string>
#include <vector>

#include "cross/model.h"
#include "cross/plan.h"

namespace cross::model {

/// One layer of the plan and the layers of the model whose weights it holds, one below the other.
struct LayerSource {
  std::string name;
  std::vector<std::string> parts;
};

struct Blueprint {
  std::vector<LayerSource> layers;
  ModelPart part;
};

}  // namespace cross::model
