// `cross bench` of a whole model.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cross/bench_decoder.h"
#include "cross/bench_model.h"
#include "cross/plan.h"
#include "options.h"

namespace cross::cli {

struct BenchModelFlags {
  std::int64_t sentences = 0, length = 0;  ///< encoders; 0: the default
  std::int64_t prompt = 0, generate = 0;   ///< decoders; 0: the default
  bool given() const { return sentences != 0 || length != 0 || prompt != 0 || generate != 0; }
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
