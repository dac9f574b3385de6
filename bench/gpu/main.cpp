// bench_gpu: everything that the README says of GPUs, part by part. bench/gpu.sh builds and runs it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>

#include "cross/error.h"
#include "cross/executor.h"
#include "cuda/device.h"
#include "cuda/library.h"
#include "gpu/parts.h"

namespace {

using cross_bench::Arena;
using cross_bench::PartOptions;

struct Part {
  const char* name;
  const char* help;
  nlohmann::json (*run)(Arena&, const PartOptions&);
};

constexpr Part parts[] = {
    {"decode", "i.i.d. masks on Llama-2-7B's products, N = 1 … 64: the target table",
     cross_bench::decode_part},
    {"n_m", "2:4, 3:4 and 1:4 masks", cross_bench::n_m_part},
    {"regions", "128x128 regions of 30 to 99 % sparsity", cross_bench::regions_part},
    {"breakeven", "BERT-base's shapes: CROSS and cuSPARSE over cuBLASLt against sparsity",
     cross_bench::breakeven_part},
    {"prefill", "many tokens on Llama-2-7B's products: any plan, and one compressed copy",
     cross_bench::prefill_part},
    {"two_four", "exact 2:4 masks at many tokens, with cuSPARSELt", cross_bench::two_four_part},
    {"block", "square blocks that are whole or empty", cross_bench::block_part},
    {"fp32", "true fp32 at 256 to 1024 tokens", cross_bench::fp32_part},
    {"dlmc", "patterns of trained networks at 256 tokens, fp32 and bf16", cross_bench::dlmc_part},
    {"bands", "256x256x256 products, batch 10, on tensor cores and on CUDA cores over sparsity",
     cross_bench::bands_part},
    {"balance", "batch sizes and policies, predicted against measured imbalance; ablation",
     cross_bench::balance_part},
    {"regret", "plans chosen by prices against the best measured", cross_bench::regret_part},
    {"host", "host time of an enqueued product", cross_bench::host_part},
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measurements on a GPU");
  app.require_subcommand(1);
  PartOptions options;
  int device = 0;
  std::string json;
  std::vector<std::string> formats;
  app.add_option("--device", device, "index of the GPU");
  app.add_option("--json", json, "file to write what was measured to");
  app.add_option("--dtype", options.dtype)
      ->check(CLI::IsMember({"bf16", "fp16", "fp32"}))
      ->capture_default_str();
  app.add_option("--tokens", options.tokens, "token counts instead of the part's own")->delimiter(',');
  app.add_option("--sparsity", options.sparsities, "instead of the part's own")->delimiter(',');
  app.add_option("--formats", formats, "to pack; default: all that can hold the weight")->delimiter(',');
  app.add_flag("--all", options.all, "prefill, two_four, block, fp32: every token count, sparsity and shape");
  app.add_option("--burst", options.burst,
                 "seconds of one sample at many tokens; default: 0.02, from 2048 tokens on 0.2")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads, "0: one per core");
  app.add_option("--seconds", options.seconds, "per matrix and token count")->capture_default_str();
  app.add_option("--profile", options.profile, "regret: cost profile to choose by");
  app.add_option("--plot", options.plot, "breakeven, bands: SVG file to write");
  for (const Part& part : parts) app.add_subcommand(part.name, part.help)->fallthrough();
  for (const char* part : {"regret", "dlmc", "balance"})
    app.get_subcommand(part)->add_option("FILE", options.files, ".smtx patterns");
  CLI11_PARSE(app, argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // what was measured is seen even if the rest is cut off
  if (options.threads == 0) options.threads = cross::available_cores();
  try {
    for (const std::string& name : formats) {
      const auto format = cross::format_from_name(name);
      if (!format || !cross::is_gpu_format(*format))
        throw cross::UsageError(
            fmt::format("--formats: \"{}\" is no format of the CUDA device family", name));
      options.formats.push_back(*format);
    }
    const cross::cuda::DeviceInfo info = cross::cuda::require_device(device);
    const cross::cuda::CurrentDevice current(device);
    Arena arena(info);
    fmt::print("{}, sm{}, driver {}.{}, cuBLASLt {}, copies at {:.0f} GB/s\n", info.name, info.sm(),
               info.driver / 1000, info.driver % 1000 / 10, cross::cuda::library_version(),
               arena.bandwidth());
    for (const Part& part : parts) {
      if (!app.got_subcommand(part.name)) continue;
      const auto start = std::chrono::steady_clock::now();
      nlohmann::json result = part.run(arena, options);
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      fmt::print("({} took {:.0f} s)\n", part.name, seconds);
      result["part"] = part.name;
      result["gpu"] = info.name;
      result["bandwidth_gbytes_per_s"] = arena.bandwidth();
      result["cublaslt"] = cross::cuda::library_version();
      result["seconds"] = seconds;
      if (!json.empty()) {
        std::ofstream file(json);
        file << result.dump(1) << '\n';
        if (!file.flush()) throw cross::UsageError(fmt::format("{}: cannot be written", json));
      }
    }
  } catch (const cross::Error& error) {
    fmt::print(stderr, "bench_gpu: {}\n", error.what());
    return static_cast<int>(error.exit_code());
  }
  return 0;
}
