// cross run: one layer of a plan on the activations in a .npy file.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/quote.h"
#include "commands.h"
#include "console.h"
#include "cross/error.h"
#include "driver/layer_runner.h"
#include "files.h"
#include "io/npy.h"
#include "options.h"
#include "table.h"

namespace cross::cli {
namespace {

struct Options {
  CommonOptions common;
  std::string plan, layer, input, output, device, activation = "none";
  bool no_bias = false;
  int threads = 0;
};

std::vector<std::byte> to_dtype(const std::vector<float>& values, DType dtype) {
  const std::size_t size = size_of(dtype);
  std::vector<std::byte> bytes(values.size() * size);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t bits = bits_from_float(values[i], dtype);
    std::memcpy(bytes.data() + size * i, &bits, size);  // little-endian: the low bytes are the value
  }
  return bytes;
}

std::vector<float> to_floats(const std::vector<std::byte>& bytes, DType dtype) {
  const std::size_t size = size_of(dtype);
  std::vector<float> values(bytes.size() / size);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, bytes.data() + size * i, size);
    values[i] = float_from_bits(bits, dtype);
  }
  return values;
}

Activation parse_activation(const std::string& name) {
  if (const auto activation = activation_from_name(name)) return *activation;
  std::string names;
  for (const Activation activation : all_activations)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", name_of(activation));
  throw UsageError(fmt::format("--activation {} is unknown; it can be {}", base::in_quotes(name), names));
}

void run(const Options& options) {
  const Activation activation = parse_activation(options.activation);
  check_output(options.output, {options.input, options.plan});
  const Plan plan = load_plan(options.plan);
  const std::size_t index = find_layer(plan, options.layer);
  const LayerPlan& layer = plan.layers[index];
  const io::FloatMatrix input = io::read_npy(options.input);
  if (input.cols != layer.cols)
    throw UsageError(fmt::format("{}: has {} columns; layer {} takes {}", options.input, input.cols,
                                 base::in_quotes(layer.name), layer.cols));
  const auto runner = driver::make_runner(plan, options.device, threads_for(plan, options.threads));
  const std::vector<std::byte> x = to_dtype(input.values, plan.dtype);
  std::vector<std::byte> y(static_cast<std::size_t>(input.rows * layer.rows) * size_of(plan.dtype));
  RunArgs args;
  args.x = x.data();
  args.y = y.data();
  args.tokens = input.rows;
  args.activation = activation;
  args.bias = !options.no_bias;
  const auto start = std::chrono::steady_clock::now();
  runner->run(index, args);
  const double us =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
  io::write_npy(options.output, input.rows, layer.rows, to_floats(y, plan.dtype));
  if (options.common.json)
    print_json({{"layer", layer.name},
                {"tokens", input.rows},
                {"m", layer.rows},
                {"k", layer.cols},
                {"dtype", name_of(plan.dtype)},
                {"activation", name_of(activation)},
                {"output", options.output},
                {"us", us}});
  else
    print(fmt::format("{}: {} of {} -> {}, {}, {} (first run) to {}\n", base::printable(layer.name),
                      plural(static_cast<std::size_t>(input.rows), "token"), layer.cols, layer.rows,
                      name_of(plan.dtype), microseconds_text(us), base::printable(options.output)));
}

}  // namespace

void add_run(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("run", "run one layer of a plan on activations from a .npy file");
  command->add_option("PLAN", options->plan, "made by `cross compile`")->required();
  command->add_option("--layer", options->layer, "name of the layer (`cross explain` lists them)")
      ->required()
      ->type_name("NAME");
  command->add_option("--input", options->input, "activations [tokens, K], float32 or float16")
      ->required()
      ->type_name("X.npy");
  command->add_option("--output", options->output, "result [tokens, M], float32")
      ->required()
      ->type_name("Y.npy");
  command->add_option("--activation", options->activation, "none (default), relu, gelu, gelu_tanh or silu")
      ->type_name("NAME");
  command->add_flag("--no-bias", options->no_bias, "leave the layer's bias out");
  add_device(*command, options->device);
  add_threads(*command, options->threads);
  add_common(*command, options->common,
             "cross run pruned.plan --layer encoder.layer.0.output.dense --input x.npy --output y.npy");
  command->callback([options] { run(*options); });
}

}  // namespace cross::cli
