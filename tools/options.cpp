#include "options.h"

#include <fmt/format.h>

#include <charconv>

#include "base/quote.h"
#include "cross/cuda.h"
#include "cross/device.h"
#include "cross/error.h"

namespace cross::cli {

void add_common(CLI::App& command, CommonOptions& options, const std::string& example) {
  command.add_flag("--json", options.json, "print the result as JSON");
  command.add_flag("-q,--quiet", options.quiet, "no progress bar and no notes on stderr");
  command.footer("Example:\n  " + example);
}

void add_selection(CLI::App& command, Selection& selection) {
  command
      .add_option("--include", selection.include,
                  "only tensors whose name matches this glob (* and ?); may be repeated")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  command
      .add_option("--exclude", selection.exclude, "leave out tensors that match this glob; may be repeated")
      ->type_name("GLOB")
      ->allow_extra_args(false);
}

void add_seed(CLI::App& command, LoadOptions& options) {
  command
      .add_option("--seed", options.seed, "for the values of a .smtx pattern, which holds none (default 0)")
      ->type_name("N");
}

void add_threads(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "worker threads; 0 means one per core")->type_name("T");
}

CLI::Option* add_batch(CLI::App& command, int& batch) {
  return command.add_option("--batch", batch, "sentences at a time (default 32)")->type_name("B");
}

void check_batch(int batch) {
  if (batch < 1 || batch > 65536)
    throw UsageError(fmt::format("--batch {} makes no sense; use 1 to 65536", batch));
}

void add_tokens(CLI::App& command, std::string& tokens, const std::string& help) {
  command.add_option("--tokens", tokens, help)->type_name("N,N,...");
}

void add_layers(CLI::App& command, std::vector<std::string>& layers) {
  command.add_option("--layer", layers, "only this layer; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
}

void add_device(CLI::App& command, std::string& device) {
  command.add_option("--device", device, "cpu (default) or cuda[:index]")->type_name("DEVICE");
}

std::vector<std::int64_t> parse_tokens(const std::string& text) {
  std::vector<std::int64_t> counts;
  if (text.empty()) return counts;
  const char* at = text.data();
  const char* end = at + text.size();
  for (;;) {
    std::int64_t count = 0;
    const auto [after, error] = std::from_chars(at, end, count);
    if (error != std::errc() || (after != end && *after != ','))
      throw UsageError(fmt::format("--tokens {} is not a list of numbers; write, for example, --tokens 1,128",
                                   base::in_quotes(text)));
    counts.push_back(count);
    if (after == end) return counts;
    at = after + 1;
  }
}

DType parse_plan_dtype(const std::string& text, bool cuda) {
  if (text == "fp32") return DType::fp32;
  if (text == "bf16") return DType::bf16;
  if (text == "fp16" && cuda) return DType::fp16;
  throw UsageError(fmt::format("--dtype {} is unknown; it can be fp32 or bf16{}", base::in_quotes(text),
                               cuda ? ", or fp16" : " (fp16: with --device cuda)"));
}

void check_device(const std::string& device) {
  if (!device.empty() && parse_device(device).cuda()) cuda::require_device(parse_device(device).index);
}

}  // namespace cross::cli
