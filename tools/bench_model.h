// `cross bench` of a whole model.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

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

/// Measures and prints; `seconds` 0 is the default.
void bench_whole_model(const Plan& plan, const BenchModelFlags& flags, const std::string& baseline,
                       double seconds, int threads, const CommonOptions& common);

}  // namespace cross::cli
