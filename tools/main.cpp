// cross: the command line. Data goes to stdout, everything else to stderr.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "base/quote.h"
#include "commands.h"
#include "console.h"
#include "cross/error.h"
#include "cross/version.h"

namespace cross::cli {
namespace {

int code_of(ExitCode code) { return static_cast<int>(code); }

int report_internal(const std::string& what) {
  print_error(fmt::format("internal error: {}", what));
  print_note(
      "This is a mistake in cross, not in what you did. Please report it with the whole command, this "
      "message and "
      "the output of `cross --version`; CONTRIBUTING.md says where.");
  return code_of(ExitCode::internal_error);
}

int report_usage(const CLI::App& app, const CLI::ParseError& error, const std::string& first) {
  // The message may come from a subcommand's option: its help is the one to read.
  const auto used = app.get_subcommands();
  if (used.empty() && !first.empty() && first.front() != '-') {
    std::string names;
    for (const CLI::App* command : app.get_subcommands({}))
      names += (names.empty() ? "" : ", ") + command->get_name();
    print_error(fmt::format("there is no command {}; there are {}", base::in_quotes(first), names));
  } else {
    print_error(error.what());
  }
  print_note(
      fmt::format("`cross {}--help` shows the options.", used.empty() ? "" : used.front()->get_name() + " "));
  return code_of(ExitCode::wrong_usage);
}

int run(int argc, char** argv) {
  CLI::App app("Exact inference with sparse weights: from a pruned model to a measured faster product.",
               "cross");
  app.set_version_flag("--version", fmt::format("cross {}", version()));
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 internal error, 2 wrong usage, 3 bad input file, 4 verification failed,\n"
      "5 device not available.\n\n"
      "Example:\n"
      "  cross prune model -o pruned --sparsity 0.8 --scope global\n"
      "  cross compile pruned -o pruned.plan --tokens 1,128\n"
      "  cross bench pruned.plan");
  add_inspect(app);
  add_prune(app);
  add_calibrate(app);
  add_compile(app);
  add_explain(app);
  add_run(app);
  add_verify(app);
  add_bench(app);
  add_embed(app);
  add_generate(app);
  add_eval(app);
  add_report(app);
  try {
    app.parse(argc, argv);
    finish_output();
    return code_of(ExitCode::done);
  } catch (const CLI::Success& done) {  // --help and --version
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error, argc > 1 ? argv[1] : "");
  }
}

}  // namespace
}  // namespace cross::cli

int main(int argc, char** argv) {
  using namespace cross::cli;
  // A reader that leaves early (`cross inspect … | head`) must not kill a compile half-way: writes fail
  // instead.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const cross::InternalError& error) {
    return report_internal(error.what());
  } catch (const cross::Error& error) {
    print_error(error.what());
    return code_of(error.exit_code());
  } catch (const std::bad_alloc&) {
    return report_internal("there is not enough memory");
  } catch (const std::exception& error) {
    return report_internal(error.what());
  }
}
