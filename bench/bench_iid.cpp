// bench_iid: speed-up over the best dense library for independent random masks, by shape, sparsity, token
// count and dtype. Every cell is a plan of its own, compiled for exactly that token count, so that no cell is
// a compromise.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "cross/compile.h"
#include "cross/error.h"
#include "iid_report.h"

namespace {

using cross_bench::Measurement;
using cross_bench::Shape;

struct Options {
  std::vector<std::string> dtypes = {"fp32", "bf16"};
  std::vector<std::int64_t> tokens = {1, 8, 32, 128, 512};
  std::vector<double> sparsities = {0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95};
  std::vector<std::string> shapes = {"768x768", "3072x768", "768x3072", "4096x4096", "11008x4096"};
  std::string baseline = "best";
  std::string profile;
  std::string format = "auto";
  int threads = 0;
  double seconds = 0.5;
  std::uint64_t seed = 1;
  bool json = false;
};

/// A file in the temporary folder that is removed with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& suffix)
      : path_(std::filesystem::temp_directory_path() / fmt::format("bench_iid-{}{}", getpid(), suffix)) {}
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

Shape parse_shape(const std::string& text) {
  Shape shape;
  char x = 0, end = 0;
  if (std::sscanf(text.c_str(), "%ld%c%ld%c", &shape.rows, &x, &shape.cols, &end) != 3 || x != 'x' ||
      shape.rows < 1 || shape.cols < 1)
    throw cross::UsageError(fmt::format("--shape {}: must be like 768x3072 (rows of W, columns of W)", text));
  return shape;
}

/// Writes W[rows, cols] in fp32 as .npy: normal values, each position zero with probability `sparsity`.
void write_masked_matrix(const std::filesystem::path& path, const Shape& shape, double sparsity,
                         std::uint64_t seed) {
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", shape.rows, shape.cols);
  header.append(64 - (10 + header.size() + 1) % 64, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  file.write("\x93NUMPY\x01\x00", 8);
  const char length[2] = {static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  file.write(length, 2);
  file << header;

  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<double> uniform;
  std::vector<float> row(static_cast<std::size_t>(shape.cols));
  for (std::int64_t r = 0; r < shape.rows; ++r) {
    for (float& value : row) value = uniform(random) < sparsity ? 0.0f : normal(random);
    file.write(reinterpret_cast<const char*>(row.data()),
               static_cast<std::streamsize>(row.size() * sizeof(float)));
  }
  if (!file.flush()) throw cross::UsageError(fmt::format("{}: cannot be written", path.string()));
}

nlohmann::json json_of(const Measurement& m) {
  const cross::BenchRow& row = m.row;
  return {{"dtype", name_of(m.dtype)},
          {"m", row.m},
          {"k", row.k},
          {"asked_sparsity", m.asked_sparsity},
          {"sparsity", row.sparsity},
          {"tokens", row.tokens},
          {"dense_us", row.dense_us},
          {"cross_us", row.cross_us},
          {"speedup", row.speedup},
          {"spread", row.spread},
          {"rel_error", row.rel_error},
          {"baseline", row.baseline},
          {"kernel", row.kernel},
          {"bytes_dense", row.bytes_dense},
          {"bytes_plan", row.bytes_plan},
          {"gbytes_per_s", row.gbytes_per_s},
          {"gflops", row.gflops},
          {"imbalance", row.imbalance}};
}

class Run {
 public:
  explicit Run(const Options& options) : options_(options) {}

  void measure_all() {
    for (const std::string& shape : options_.shapes)
      for (const double sparsity : options_.sparsities) measure_matrix(parse_shape(shape), sparsity);
  }

  void print() const {
    if (options_.json) {
      nlohmann::json rows = nlohmann::json::array();
      for (const Measurement& m : measurements_) rows.push_back(json_of(m));
      std::cout << nlohmann::json({{"device", device_}, {"rows", rows}}).dump(2) << "\n";
    } else {
      std::cout << device_ << "\n" << cross_bench::report(measurements_);
    }
  }

 private:
  void measure_matrix(const Shape& shape, double sparsity) {
    const TemporaryFile file(".npy");
    write_masked_matrix(file.path(), shape, sparsity, options_.seed);
    const cross::Model model = cross::Model::load(file.path());
    for (const std::string& dtype : options_.dtypes)
      for (const std::int64_t tokens : options_.tokens)
        measure_cell(model, dtype == "fp32" ? cross::DType::fp32 : cross::DType::bf16, shape, sparsity,
                     tokens);
  }

  void measure_cell(const cross::Model& model, cross::DType dtype, const Shape& shape, double sparsity,
                    std::int64_t tokens) {
    cross::CompileOptions compile;
    compile.dtype = dtype;
    compile.tokens = {tokens};
    compile.threads = options_.threads;
    compile.profile = options_.profile;
    compile.format = options_.format;
    const cross::Plan plan = cross::compile(model, compile);
    cross::BenchOptions bench;
    bench.tokens = {tokens};
    bench.threads = options_.threads;
    bench.baseline = options_.baseline;
    bench.seconds = options_.seconds;
    const cross::BenchReport report = cross::bench(plan, bench);
    device_ = report.device;
    const Measurement m{dtype, shape, sparsity, report.layers.at(0)};
    std::cerr << fmt::format("{} {:>10} {:>3.0f} % N={:<4} {:>9.1f} us dense {:>9.1f} us  {:.2f}x  {}\n",
                             name_of(dtype), text_of(shape), sparsity * 100, tokens, m.row.cross_us,
                             m.row.dense_us, m.row.speedup, m.row.kernel);
    measurements_.push_back(m);
  }

  const Options& options_;
  std::string device_;
  std::vector<Measurement> measurements_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Speed-up over the best dense library for i.i.d. masks, per shape, sparsity, token count and dtype");
  app.add_option("--dtype", options.dtypes, "fp32, bf16")
      ->delimiter(',')
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  app.add_option("--tokens", options.tokens)->delimiter(',')->capture_default_str();
  app.add_option("--sparsity", options.sparsities)
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--shape", options.shapes, "ROWSxCOLS of W")->delimiter(',')->capture_default_str();
  app.add_option("--baseline", options.baseline)->check(CLI::IsMember({"best", "onednn", "openblas"}));
  app.add_option("--threads", options.threads, "0: one per core");
  app.add_option("--seconds", options.seconds, "per cell, both sides together")->capture_default_str();
  app.add_option("--seed", options.seed)->capture_default_str();
  app.add_option("--profile", options.profile, "cost profile to compile with");
  app.add_option("--format", options.format, "force one storage format (experiments)");
  app.add_flag("--json", options.json);
  CLI11_PARSE(app, argc, argv);
  unsetenv("OPENBLAS_CORETYPE");  // it can halve the baseline
  try {
    Run run(options);
    run.measure_all();
    run.print();
  } catch (const cross::Error& error) {
    std::cerr << "bench_iid: " << error.what() << "\n";
    return static_cast<int>(error.exit_code());
  }
  return 0;
}
