// bench_regret: how good the cost model's choices are, on patterns that calibration never saw.
//
//     regret = time of the plan chosen from prices alone / time of the best plan of any single format
//
// Every plan is compiled without measuring, run, checked and timed like any other; 1.00 means that the prices
// picked the winner.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "cross/bench.h"
#include "cross/compile.h"
#include "cross/error.h"

namespace {

const std::vector<std::string> formats = {"dense", "index8", "bitmap", "block", "dense_panel", "mixed"};

struct Case {
  std::string file;
  std::int64_t tokens = 0;
};

double microseconds(const cross::Model& model, const Case& one, const std::string& format, cross::DType dtype,
                    int threads, std::string* kernel = nullptr) {
  cross::CompileOptions compile;
  compile.dtype = dtype;
  compile.tokens = {one.tokens};
  compile.threads = threads;
  compile.format = format;
  compile.measure = false;
  cross::BenchOptions bench;
  bench.threads = threads;
  bench.seconds = 0.1;
  const cross::BenchReport report = cross::bench(cross::compile(model, compile), bench);
  if (kernel != nullptr) *kernel = report.layers.front().kernel;
  return report.total.front().cross_us;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Regret of the cost model's choices: chosen from prices alone, against the best single format");
  std::vector<std::string> files;
  std::string token_list = "1,16,256";
  std::string dtype_name = "fp32";
  int threads = 0;
  app.add_option("MODEL", files, ".smtx files or other models of one layer")->required();
  app.add_option("--tokens", token_list, "token counts")->capture_default_str();
  app.add_option("--dtype", dtype_name, "")->check(CLI::IsMember({"fp32", "bf16"}))->capture_default_str();
  app.add_option("--threads", threads, "0: one per core");
  CLI11_PARSE(app, argc, argv);
  std::vector<std::int64_t> tokens;
  for (std::istringstream list(token_list); list.good();) {
    std::string part;
    std::getline(list, part, ',');
    tokens.push_back(std::atoll(part.c_str()));
  }
  const cross::DType dtype = dtype_name == "fp32" ? cross::DType::fp32 : cross::DType::bf16;

  double log_sum = 0, worst = 1;
  int count = 0;
  try {
    for (const std::string& file : files) {
      const cross::Model model = cross::Model::load(file);
      for (const std::int64_t t : tokens) {
        std::string chosen, best_format;
        const double chosen_us = microseconds(model, {file, t}, "auto", dtype, threads, &chosen);
        double best_us = chosen_us;
        for (const std::string& format : formats) {
          const double us = microseconds(model, {file, t}, format, dtype, threads);
          if (us >= best_us) continue;
          best_us = us;
          best_format = format;
        }
        const double regret = chosen_us / best_us;
        log_sum += std::log(regret);
        worst = std::max(worst, regret);
        ++count;
        fmt::print("{:.3f}  N={:<4} chose {:24} best {:12} {}\n", regret, t, chosen,
                   best_format.empty() ? "the same" : best_format, file);
        std::fflush(stdout);
      }
    }
  } catch (const cross::Error& error) {
    fmt::print(stderr, "bench_regret: {}\n", error.what());
    return static_cast<int>(error.exit_code());
  }
  fmt::print("regret of {} choices: geometric mean {:.3f}, worst {:.3f}\n", count, std::exp(log_sum / count),
             worst);
  return 0;
}
