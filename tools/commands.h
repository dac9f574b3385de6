// The subcommands of `cross`. Each function adds one, with its options; it runs when the line is parsed.
#pragma once

namespace CLI {
class App;
}

namespace cross::cli {

void add_inspect(CLI::App& app);
void add_prune(CLI::App& app);
void add_calibrate(CLI::App& app);
void add_compile(CLI::App& app);
void add_explain(CLI::App& app);
void add_run(CLI::App& app);
void add_verify(CLI::App& app);
void add_bench(CLI::App& app);
void add_embed(CLI::App& app);
void add_generate(CLI::App& app);
void add_eval(CLI::App& app);
void add_report(CLI::App& app);

}  // namespace cross::cli
