// Enumerate → drop with a reason → price: every way of storing one layer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/cost/price.h"
#include "cross/analysis.h"
#include "cross/profile.h"

namespace cross::compiler {

/// How a candidate would run at one token count.
struct PricedShape {
  std::string shape;  ///< "tile" or "dot"
  double predicted_us = 0;
  std::vector<double> panel_ns;  ///< per panel, one batch item
};

/// One way of storing a layer.
struct LayoutCandidate {
  std::string name;  ///< "index8", "mixed", "mixed, rows by density", …
  PackingLayout layout;
  bool sorted = false;              ///< rows in the reorder stage's order
  std::vector<PricedShape> shapes;  ///< per token count
  /// Per token count: the other shape, where prices alone should not decide between the two.
  std::vector<std::optional<PricedShape>> close_shapes;
  std::string dropped;  ///< why it is out, or empty
};

struct CandidateInputs {
  const MatrixAnalysis& analysis;
  const CostProfile& profile;
  const BlockCounts& natural;           ///< rows as stored
  const BlockCounts* sorted = nullptr;  ///< rows in the reorder stage's order, if that differs
  std::vector<std::int64_t> tokens;
  double delta = 0.05;        ///< half-width of the swing band
  std::string only = "auto";  ///< a format name, "mixed", "dense", or "auto"
};

struct CandidateSet {
  std::vector<LayoutCandidate> candidates;
  BandCounts bands;  ///< of the natural order
};

CandidateSet enumerate_candidates(const CandidateInputs& inputs);

}  // namespace cross::compiler
