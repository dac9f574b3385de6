// cross embed: sentences → embeddings, by a model plan.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/quote.h"
#include "commands.h"
#include "console.h"
#include "cross/encoder.h"
#include "cross/error.h"
#include "driver/machine.h"
#include "files.h"
#include "io/npy.h"
#include "options.h"
#include "table.h"
#include "text_lines.h"

namespace cross::cli {
namespace {

struct Options {
  CommonOptions common;
  std::string plan, text, output;
  int threads = 0, batch = 32;
};

void run(const Options& options) {
  check_batch(options.batch);
  check_output(options.output, {options.plan, options.text});
  const Plan plan = load_plan(options.plan);
  const auto executor = make_openmp_executor(driver::resolve_threads(threads_for(plan, options.threads)));
  Encoder encoder(plan, *executor);
  const std::vector<std::string> texts = read_lines(options.text);
  const auto start = std::chrono::steady_clock::now();
  const std::vector<float> embeddings = encoder.embed(texts, static_cast<std::size_t>(options.batch));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::int64_t hidden = encoder.info().hidden;
  io::write_npy(options.output, static_cast<std::int64_t>(texts.size()), hidden, embeddings);
  const double per_second = static_cast<double>(texts.size()) / seconds;
  if (options.common.json)
    print_json({{"sentences", texts.size()},
                {"size", hidden},
                {"architecture", encoder.info().architecture},
                {"dtype", name_of(plan.dtype)},
                {"pooling", name_of(encoder.info().pooling)},
                {"normalised", encoder.info().normalised},
                {"output", options.output},
                {"seconds", seconds},
                {"sentences_per_s", per_second}});
  else
    print(fmt::format("{}: {} -> {} values each, {} ({:.0f} sentences/s, first run) to {}\n",
                      base::printable(options.text), plural(texts.size(), "sentence"), hidden,
                      name_of(plan.dtype), per_second, base::printable(options.output)));
}

}  // namespace

void add_embed(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("embed", "turn sentences into embeddings with a model plan");
  command->add_option("PLAN", options->plan, "a model plan, made by `cross compile` from a folder")
      ->required();
  command->add_option("--text", options->text, "UTF-8 text, one sentence a line; - is standard input")
      ->required()
      ->type_name("FILE");
  command->add_option("--output", options->output, "embeddings [sentences, size], float32")
      ->required()
      ->type_name("E.npy");
  add_batch(*command, options->batch);
  add_threads(*command, options->threads);
  add_common(*command, options->common, "cross embed pruned.plan --text sentences.txt --output e.npy");
  command->callback([options] { run(*options); });
}

}  // namespace cross::cli
