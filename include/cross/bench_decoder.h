// bench of a whole decoder: a model plan against the same weights with every product through a dense library.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cross/bench_model.h"
#include "cross/plan.h"

namespace cross {

struct DecoderBenchOptions {
  std::int64_t prompt = 512;      ///< tokens that are read at once
  std::int64_t generate = 16;     ///< tokens that follow one by one
  int threads = 0;                ///< 0: one per core
  std::string baseline = "best";  ///< best, onednn or openblas
  double seconds = 20;            ///< to spend in all, about
  /// Called before each step with its number and the count of steps.
  std::function<void(std::size_t, std::size_t, std::string_view)> on_step;
};

/// Reading the prompt, or the tokens after it.
struct DecoderPhase {
  std::int64_t tokens = 0;                      ///< of a repetition
  std::string baseline;                         ///< "onednn 2.6.3, 512 tokens a product"
  double dense_seconds = 0, cross_seconds = 0;  ///< median time of a repetition
  double speedup = 0;                           ///< median of the ratios of neighbouring repetitions
  double spread = 0;                            ///< (p90 − p10) / median of those ratios
  int repetitions = 0;
  double least_cosine = 1;  ///< between logits of the plan and those of the dense model
  std::vector<ModelBenchPart> parts;

  double dense_tokens_per_s() const { return static_cast<double>(tokens) / dense_seconds; }
  double cross_tokens_per_s() const { return static_cast<double>(tokens) / cross_seconds; }
  double other_share() const;  ///< of `parts`
};

struct DecoderBenchReport {
  std::string device;  ///< CPU, ISA, threads
  std::string architecture, dtype;
  double sparsity = 0;         ///< of all compiled weights together
  double output_sparsity = 0;  ///< of the output layer, which is the embedding table where they are tied
  bool tied = false;
  std::uint64_t bytes_dense = 0, bytes_plan = 0;
  DecoderPhase prefill, decode;
};

/// One sequence of random tokens. The baseline runs in the same code, per phase with the library and the size
/// of products that are fastest; it is made anew for each phase, so that no copies of weights for other token
/// counts lie in memory. UsageError for a plan of layers or of an encoder, or sizes that make no sense;
/// VerificationError, before anything is timed, if the two sides' logits disagree.
DecoderBenchReport bench_decoder(const Plan& plan, const DecoderBenchOptions& options = {});

}  // namespace cross
