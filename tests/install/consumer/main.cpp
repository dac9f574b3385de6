// consumer MODEL PLAN: compiles a model of one layer, saves and loads the plan, runs it, and compares with a
// plain loop.
#include <cmath>
#include <cstdio>
#include <vector>

#include "cross/compile.h"
#include "cross/session.h"
#include "cross/version.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const cross::Model model = cross::Model::load(argv[1]);
  cross::CompileOptions options;
  options.threads = 1;
  options.tokens = {2};
  cross::compile(model, options).save(argv[2]);

  const cross::Plan plan = cross::Plan::load(argv[2]);
  const auto executor = cross::make_thread_executor(1);
  cross::Session session(plan, *executor);
  const cross::LayerPlan& layer = plan.layers.at(0);
  std::vector<float> x(static_cast<std::size_t>(2 * layer.cols));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i) - 3.5f;
  std::vector<float> y(static_cast<std::size_t>(2 * layer.rows));
  const std::size_t bytes = session.workspace_bytes(0, 2);
  std::vector<std::byte> memory(bytes + 64);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  cross::RunArgs args;
  args.x = x.data();
  args.y = y.data();
  args.tokens = 2;
  args.workspace = {memory.data() + (64 - address % 64) % 64, bytes};
  session.run(0, args);

  const cross::MatrixView weight = model.tensors()[0].matrix();
  for (std::int64_t t = 0; t < 2; ++t)
    for (std::int64_t r = 0; r < layer.rows; ++r) {
      double sum = 0;
      for (std::int64_t c = 0; c < layer.cols; ++c)
        sum += static_cast<double>(weight.value(r, c)) * x[static_cast<std::size_t>(t * layer.cols + c)];
      if (std::abs(sum - y[static_cast<std::size_t>(t * layer.rows + r)]) > 1e-4) return 4;
    }
  std::printf("cross %s: %s is right\n", std::string(cross::version()).c_str(), layer.name.c_str());
  return 0;
}
