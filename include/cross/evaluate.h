// eval: what pruning and compiling cost in quality, beside what they gained.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "cross/model.h"
#include "cross/plan.h"

namespace cross {

struct EvaluateOptions {
  int threads = 0;                                                          ///< 0: one per core
  std::size_t batch = 32;                                                   ///< sentences at a time
  std::function<void(std::size_t, std::size_t, std::string_view)> on_step;  ///< before each step
};

/// A model plan against a dense reference model in fp32.
struct Evaluation {
  std::size_t sentences = 0;
  std::size_t pairs = 0;  ///< of sentences that were compared: all, or a million drawn at random
  /// Spearman's, of the pairs' cosines by the plan with those by the reference: 1 if the plan ranks similar
  /// sentences as the reference does.
  double rank_correlation = 0;
  double mean_cosine = 0, least_cosine = 0;  ///< between the two embeddings of a sentence
  std::uint64_t bytes_reference = 0, bytes_plan = 0;
  /// From text to embeddings, best of a few passes.
  double reference_sentences_per_s = 0, plan_sentences_per_s = 0;
};

/// UsageError for a plan of layers alone, fewer than three texts, or embeddings of different sizes;
/// InputError if the reference is no model that runs as a whole.
Evaluation evaluate(const Plan& plan, const Model& reference, std::span<const std::string> texts,
                    const EvaluateOptions& options = {});

}  // namespace cross
