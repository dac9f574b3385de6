// cross generate: a prompt → the text that follows, by a decoder's plan.
#include "cross/generate.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "console.h"
#include "cross/error.h"
#include "driver/machine.h"
#include "files.h"
#include "options.h"
#include "table.h"
#include "text_lines.h"

namespace cross::cli {
namespace {

using json = nlohmann::ordered_json;

struct Options {
  CommonOptions common;
  std::string plan, prompt, prompt_file;
  GenerateOptions with;
  int threads = 0;
  bool prompt_given = false, sampling_given = false, temperature_given = false;
};

std::string read_prompt(const Options& options) {
  if (options.prompt_given == !options.prompt_file.empty())
    throw UsageError("give the text to continue with either --prompt or --prompt-file");
  if (!options.prompt_given) return read_text(options.prompt_file);
  check_utf8(options.prompt, "--prompt");
  return options.prompt;
}

double per_second(std::int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

json report_json(const Generation& g) {
  const auto prompt = static_cast<std::int64_t>(g.prompt.size());
  return {{"text", g.text},
          {"end", name_of(g.end)},
          {"prompt_tokens", prompt},
          {"tokens", g.tokens},
          {"prefill_tokens_per_s", per_second(prompt, g.prefill_seconds)},
          {"decode_tokens_per_s",
           g.decode_steps > 0 ? json(per_second(g.decode_steps, g.decode_seconds)) : json()}};
}

std::string speed_text(const Generation& g) {
  const auto prompt = static_cast<std::int64_t>(g.prompt.size());
  std::string text = fmt::format("prompt: {}, {:.1f} tokens/s", plural(g.prompt.size(), "token"),
                                 per_second(prompt, g.prefill_seconds));
  text += fmt::format("; {} new", g.tokens.size());
  if (g.decode_steps > 0)
    text += fmt::format(", {:.1f} tokens/s", per_second(g.decode_steps, g.decode_seconds));
  return text + fmt::format(" (first run); ended by {}", name_of(g.end));
}

void run(Options& options) {
  const std::string prompt = read_prompt(options);
  // Whoever asks for a kind of chance wants some.
  if (options.sampling_given && !options.temperature_given) options.with.sampling.temperature = 1;
  const Plan plan = load_plan(options.plan);
  const Tokenizer tokenizer(plan);
  const auto executor = make_openmp_executor(driver::resolve_threads(threads_for(plan, options.threads)));
  Decoder decoder(plan, *executor);
  if (!options.common.json)
    options.with.on_text = [](std::string_view text) {
      print(text);
      finish_output();
      return !reader_has_gone();
    };
  const Generation result = generate(decoder, tokenizer, prompt, options.with);
  if (options.common.json) {
    print_json(report_json(result));
    return;
  }
  print("\n");
  finish_output();
  if (!options.common.quiet) print_note(speed_text(result));
}

}  // namespace

void add_generate(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("generate", "continue a text with a model plan of a decoder");
  command->add_option("PLAN", options->plan, "a model plan, made by `cross compile` from a folder")
      ->required();
  const auto* prompt =
      command->add_option("--prompt", options->prompt, "the text to continue, UTF-8")->type_name("TEXT");
  command->add_option("--prompt-file", options->prompt_file, "the same from a file; - is standard input")
      ->type_name("FILE");
  command->add_option("--max-tokens", options->with.max_tokens, "new tokens at most (default 128)")
      ->type_name("T");
  SamplingOptions& sampling = options->with.sampling;
  const auto* temperature =
      command
          ->add_option(
              "--temperature", sampling.temperature,
              "divides the scores before a token is drawn; 0: always the likeliest (default; 1 where one of "
              "the three below is given)")
          ->type_name("X");
  const auto* top_k = command
                          ->add_option("--top-k", sampling.top_k,
                                       "draw from the K likeliest tokens only; 0: from all (default)")
                          ->type_name("K");
  const auto* top_p =
      command
          ->add_option(
              "--top-p", sampling.top_p,
              "and of these from the fewest likeliest that have the share P of the chances (default 1)")
          ->type_name("P");
  const auto* seed =
      command->add_option("--seed", sampling.seed, "the same seed draws the same tokens (default 0)")
          ->type_name("N");
  add_threads(*command, options->threads);
  add_common(*command, options->common, "cross generate pruned.plan --prompt \"The moon\" --max-tokens 64");
  command->callback([=] {
    options->prompt_given = prompt->count() > 0;
    options->temperature_given = temperature->count() > 0;
    options->sampling_given = top_k->count() + top_p->count() + seed->count() > 0;
    run(*options);
  });
}

}  // namespace cross::cli
