// Prunes a model, compiles it, and runs one layer on buffers of our own: run_layer MODEL [FOLDER]
#include <cross/compile.h>
#include <cross/error.h>
#include <cross/model.h>
#include <cross/prune.h>
#include <cross/session.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <span>
#include <vector>

int main(int argc, char** argv) try {
  if (argc < 2) throw cross::UsageError("usage: run_layer MODEL [FOLDER]");
  const std::filesystem::path folder = argc > 2 ? argv[2] : ".";

  // Once: prune to 80 % zeros, compile for batches of 16 tokens, save the plan.
  cross::PruneOptions prune;
  prune.sparsity = 0.8;
  cross::prune_model(cross::Model::load(argv[1]), folder / "pruned.safetensors", prune);
  cross::CompileOptions options;
  options.tokens = {16};
  cross::compile(cross::Model::load(folder / "pruned.safetensors"), options).save(folder / "pruned.plan");

  // In the program that serves: the plan is mapped from its file, and the compiler is not needed.
  const cross::Plan plan = cross::Plan::load(folder / "pruned.plan");
  const auto executor = cross::make_openmp_executor();
  cross::Session session(plan, *executor);
  const cross::LayerPlan& layer = plan.layers.at(0);

  const std::int64_t tokens = 16;
  const std::vector<float> x(static_cast<std::size_t>(tokens * layer.cols), 1.0f);
  std::vector<float> y(static_cast<std::size_t>(tokens * layer.rows));
  struct alignas(64) CacheLine {
    std::byte bytes[64];
  };
  std::vector<CacheLine> workspace(session.workspace_bytes(0, tokens) / sizeof(CacheLine) + 1);
  cross::RunArgs args;
  args.x = x.data();
  args.y = y.data();
  args.tokens = tokens;
  args.activation = cross::Activation::relu;
  args.workspace = std::as_writable_bytes(std::span(workspace));
  session.run(0, args);  // the first run wakes threads and fills caches
  constexpr int runs = 100;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < runs; ++i) session.run(0, args);
  const double us =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / runs;
  std::printf("%s: %lld x %lld, %.1f %% sparse, %lld tokens in %.1f us, %llu -> %llu bytes, y[0] = %g\n",
              layer.name.c_str(), static_cast<long long>(layer.rows), static_cast<long long>(layer.cols),
              100 * layer.sparsity(), static_cast<long long>(tokens), us,
              static_cast<unsigned long long>(layer.dense_bytes(plan.dtype)),
              static_cast<unsigned long long>(layer.packed_bytes()), static_cast<double>(y[0]));
} catch (const cross::Error& error) {
  std::fprintf(stderr, "run_layer: %s\n", error.what());
  return static_cast<int>(error.exit_code());
}
