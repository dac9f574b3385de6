// explain: what was seen and decided for every layer of a plan, as data, as text and as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cross/plan.h"

namespace cross {

/// One storage format within a stored copy of a layer's weights.
struct FormatShare {
  std::string format;       ///< "index8", …; "empty" for regions without kept values
  double share = 0;         ///< of the layer's area
  std::uint64_t bytes = 0;  ///< packed
};

/// One stored copy of a layer's weights.
struct StoredCopy {
  std::string arithmetic;
  std::vector<FormatShare> formats;  ///< largest share first
  std::uint64_t bytes = 0;
  std::size_t panels = 0;  ///< row panels; 0 for the dense matrix
};

/// How a layer runs at one token count. Times of 0 are not known.
struct TokensDecision {
  std::int64_t tokens = 0;
  std::string kernel;     ///< "index8 tile", "bitmap+index8 dot", "dense onednn"
  std::string candidate;  ///< "mixed, rows by density, tile": the candidate that won
  int copy = 0;           ///< index into LayerExplanation::copies
  double predicted_us = 0, measured_us = 0;
  std::string dense;  ///< "dense onednn": what it was compared with
  double dense_predicted_us = 0, dense_measured_us = 0;
  double speedup = 0;  ///< dense over chosen: measured if both are, else predicted; 0 if neither
  std::string policy;
  std::optional<LayerDecision::Balance>
      balance;                            ///< predicted imbalance of every policy; none for library layers
  std::vector<CandidateRecord> rejected;  ///< in the order in which they were considered
};

struct LayerExplanation {
  std::string name;
  std::int64_t rows = 0, cols = 0, nnz = 0;
  double sparsity = 0;
  std::string source_dtype, structure, row_order;
  int blocks_dense = 0, blocks_swing = 0, blocks_sparse = 0, blocks_empty = 0;
  std::uint64_t bytes_model = 0;  ///< dense, in the model's dtype
  std::uint64_t bytes_dense = 0;  ///< dense, in the plan's dtype
  std::uint64_t bytes_plan = 0;
  std::vector<StoredCopy> copies;
  std::vector<TokensDecision> tokens;
};

struct PlanExplanation {
  std::string device, dtype, source, compiled_by, compiled_on, profile, profile_source;
  int threads = 0;
  int sm = 0, sms = 0;  ///< CUDA plans
  std::uint64_t bytes_model = 0, bytes_dense = 0, bytes_plan = 0;
  std::vector<LayerExplanation> layers;
};

PlanExplanation explain(const Plan& plan);

/// For people: a header, then one paragraph per layer.
std::string explain_text(const Plan& plan);

/// The fields of PlanExplanation as one JSON object.
std::string explain_json(const Plan& plan);

}  // namespace cross
