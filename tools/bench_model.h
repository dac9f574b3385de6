// `cross bench` of a whole model.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "cross/bench_decoder.h"
#include "cross/bench_model.h"
#include "cross/plan.h"
#include "options.h"

namespace cross::cli {

struct BenchModelFlags {
  std::optional<std::int64_t> sentences, length;  ///< encoders
  std::optional<std::int64_t> prompt, generate;   ///< decoders
  bool of_encoders() const { return sentences || length; }
  bool of_decoders() const { return prompt || generate; }
  bool given() const { return of_encoders() || of_decoders(); }
};

/// --sentences and --length, --prompt and --generate.
void add_bench_model_flags(CLI::App& command, BenchModelFlags& flags);

/// UsageError if a flag is for another kind of plan.
void check_bench_model_flags(const Plan& plan, const BenchModelFlags& flags);

/// What the flags ask for; `seconds` 0 is the default.
ModelBenchOptions encoder_bench_options(const BenchModelFlags& flags, const std::string& baseline,
                                        double seconds, int threads);
DecoderBenchOptions decoder_bench_options(const BenchModelFlags& flags, const std::string& baseline,
                                          double seconds, int threads);

/// Measures and prints; `seconds` 0 is the default.
void bench_whole_model(const Plan& plan, const BenchModelFlags& flags, const std::string& baseline,
                       double seconds, int threads, const CommonOptions& common);

}  // namespace cross::cli
