#include "compile_options.h"

#include "cross/device.h"
#include "cross/format.h"
#include "options.h"
#include "progress.h"

namespace cross::cli {
namespace {

/// ", delta4, delta8": every format of the CUDA device family.
std::string gpu_formats_text() {
  std::string text;
  for (const Format format : gpu_formats) text += ", " + std::string(name_of(format));
  return text;
}

}  // namespace

void add_compile_flags(CLI::App& command, CompileFlags& flags) {
  add_device(command, flags.device);
  command
      .add_option(
          "--dtype", flags.dtype,
          "of weights and activations: fp32 (default on cpu), bf16 (default on cuda), or fp16 (cuda only)")
      ->type_name("TYPE");
  add_tokens(command, flags.tokens,
             "token counts to decide for (default 1,128; 16,128,512 for an encoder, 1,512 for a decoder; 1,8 "
             "on cuda); any other "
             "count runs too");
  add_threads(command, flags.options.threads);
  command
      .add_option("--copies", flags.options.copies,
                  "formats that a layer may be stored in at once, for different token counts (default 1)")
      ->type_name("N");
  command
      .add_option(
          "--policy", flags.options.policy,
          "balance: same, paired, longest_first, by_token, or auto (default): by_token where there are "
          "enough tokens, else the least predicted imbalance")
      ->type_name("NAME");
  command
      .add_option(
          "--format", flags.options.format,
          "force a format, for experiments: mixed, dense, index8, bitmap, n_m, block, dense_panel; on "
          "cuda dense" +
              gpu_formats_text())
      ->type_name("NAME");
  command.add_flag("--no-measure", flags.no_measure,
                   "decide by the cost model alone, without timing candidates");
  command.add_option("--profile", flags.options.profile, "cost profile to use instead of this machine's")
      ->type_name("FILE");
  add_selection(command, flags.options.selection);
  add_seed(command, flags.load);
}

std::string first_compile_flag(const CLI::App& command) {
  for (const char* name : {"--dtype", "--copies", "--policy", "--format", "--no-measure", "--profile",
                           "--include", "--exclude", "--seed"})
    if (command.count(name) > 0) return name;
  return {};
}

CompileOptions compile_options(const CompileFlags& flags) {
  check_device(flags.device);
  CompileOptions options = flags.options;
  options.device = flags.device.empty() ? "cpu" : flags.device;
  const bool cuda = parse_device(options.device).cuda();
  options.dtype = parse_plan_dtype(flags.dtype.empty() ? (cuda ? "bf16" : "fp32") : flags.dtype, cuda);
  if (cuda) options.tokens = {1, 8};
  if (!flags.tokens.empty()) options.tokens = parse_tokens(flags.tokens);
  options.measure = !flags.no_measure;
  return options;
}

Plan compile_with_progress(const Model& model, CompileOptions options, bool quiet) {
  Progress progress("compile", quiet);
  options.on_layer = [&](std::size_t done, std::size_t total, std::string_view layer) {
    progress.step(done, total, layer);
  };
  return compile(model, options);
}

}  // namespace cross::cli
