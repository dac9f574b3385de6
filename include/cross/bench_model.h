// bench of a whole model: a model plan against the same weights with every product through a dense library.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cross/plan.h"

namespace cross {

struct ModelBenchOptions {
  std::int64_t sentences = 32;    ///< of a batch
  std::int64_t length = 0;        ///< tokens of each sentence; 0: 128, or as many as the model takes
  int threads = 0;                ///< 0: one per core
  std::string baseline = "best";  ///< best, onednn or openblas
  double seconds = 10;            ///< to spend in all, about
  /// Called before each step with its number and the count of steps.
  std::function<void(std::size_t, std::size_t, std::string_view)> on_step;
};

/// Seconds per batch that a part of the model takes on each side.
struct ModelBenchPart {
  std::string name;
  bool product = false;  ///< a weight product; the others are the same code on both sides
  double dense_seconds = 0, cross_seconds = 0;
};

/// Share of the plan's time that goes into anything but weight products.
double other_share(std::span<const ModelBenchPart> parts);

struct ModelBenchReport {
  std::string device;  ///< CPU, ISA, threads
  std::string architecture, dtype;
  std::int64_t sentences = 0, length = 0;
  double sparsity = 0;                          ///< of all compiled weights together
  std::string baseline;                         ///< "onednn 2.6.3, 512 tokens a product"
  double dense_seconds = 0, cross_seconds = 0;  ///< median time of a batch
  double speedup = 0;                           ///< median of the ratios of neighbouring repetitions
  double spread = 0;                            ///< (p90 − p10) / median of those ratios
  int repetitions = 0;
  double least_cosine = 1;  ///< between an embedding of the plan and that of the dense model
  std::uint64_t bytes_dense = 0, bytes_plan = 0;
  std::vector<ModelBenchPart> parts;

  double dense_sentences_per_s() const { return static_cast<double>(sentences) / dense_seconds; }
  double cross_sentences_per_s() const { return static_cast<double>(sentences) / cross_seconds; }
  double other_share() const;  ///< of `parts`
};

/// Random tokens, all sentences of one length, weights wherever the batch before left them. The baseline runs
/// in the same code with the library and the size of products that are fastest. UsageError for a plan of
/// layers alone or sizes that the model cannot take; VerificationError, before anything is timed, if the two
/// sides disagree.
ModelBenchReport bench_model(const Plan& plan, const ModelBenchOptions& options = {});

}  // namespace cross
