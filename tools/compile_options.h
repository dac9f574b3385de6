// How a model is compiled: the options of `compile`, and of `bench` on a model.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cross/compile.h"

namespace cross::cli {

struct CompileFlags {
  std::string dtype;   ///< empty: fp32 on cpu, bf16 on cuda
  std::string tokens;  ///< empty: the default
  std::string device;  ///< empty: cpu, or what the plan is for
  bool no_measure = false;
  CompileOptions options;  ///< what the options fill directly
  LoadOptions load;
};

void add_compile_flags(CLI::App& command, CompileFlags& flags);
/// The first option of compiling alone that was given ("--dtype"), or empty.
std::string first_compile_flag(const CLI::App& command);

/// Checks what was given; UsageError or DeviceError.
CompileOptions compile_options(const CompileFlags& flags);

/// Compiles with a progress bar.
Plan compile_with_progress(const Model& model, CompileOptions options, bool quiet);

}  // namespace cross::cli
