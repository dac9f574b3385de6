// Benchmarks and verification as dicts.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.h"
#include "cross/bench.h"
#include "cross/verify.h"
#include "progress.h"

namespace cross::python {
namespace {

namespace nb = nanobind;
using namespace nb::literals;

nb::dict bench_plan(const Plan& plan, const std::vector<std::int64_t>& tokens, int threads,
                    const std::string& baseline, const std::string& device, double seconds,
                    const Progress& progress) {
  BenchOptions options{tokens, threads, baseline, device, seconds, with_lock(progress)};
  BenchReport report;
  {
    const nb::gil_scoped_release free;
    report = bench(plan, options);
  }
  nb::list layers, total;
  for (const BenchRow& row : report.layers) {
    nb::dict entry;
    entry["name"] = row.name, entry["m"] = row.m, entry["k"] = row.k, entry["tokens"] = row.tokens;
    entry["dtype"] = row.dtype, entry["sparsity"] = row.sparsity;
    entry["dense_us"] = row.dense_us, entry["cross_us"] = row.cross_us, entry["speedup"] = row.speedup;
    entry["spread"] = row.spread, entry["rel_error"] = row.rel_error, entry["tolerance"] = row.tolerance;
    entry["baseline"] = row.baseline, entry["kernel"] = row.kernel;
    entry["bytes_dense"] = row.bytes_dense, entry["bytes_plan"] = row.bytes_plan;
    entry["gbytes_per_s"] = row.gbytes_per_s, entry["bandwidth_share"] = row.bandwidth_share;
    entry["gflops"] = row.gflops, entry["peak_share"] = row.peak_share, entry["imbalance"] = row.imbalance;
    layers.append(entry);
  }
  for (const BenchTotal& sum : report.total) {
    nb::dict entry;
    entry["tokens"] = sum.tokens, entry["dense_us"] = sum.dense_us, entry["cross_us"] = sum.cross_us;
    entry["speedup"] = sum.speedup;
    total.append(entry);
  }
  nb::dict out;
  out["device"] = report.device;
  out["memory_gbytes_per_s"] = report.memory_gbytes_per_s, out["peak_gflops"] = report.peak_gflops;
  out["layers"] = layers, out["total"] = total;
  return out;
}

nb::dict verify_plan(const Plan& plan, const Model& model, const std::vector<std::int64_t>& tokens,
                     int threads, const std::string& device, const Progress& progress) {
  VerifyOptions options;
  options.tokens = tokens;
  options.threads = threads;
  options.device = device;
  options.on_step = with_lock(progress);
  VerifyReport report;
  {
    const nb::gil_scoped_release free;
    report = verify(plan, model, options);
  }
  nb::list layers;
  for (const LayerVerification& layer : report.layers) {
    nb::dict entry;
    entry["name"] = layer.name, entry["passed"] = layer.passed, entry["failure"] = layer.failure;
    entry["weights_differing"] = layer.weights.differing();
    double worst = 0;
    for (const ProductComparison& product : layer.products) worst = std::max(worst, product.rel_error);
    entry["rel_error"] = worst;
    layers.append(entry);
  }
  nb::dict out;
  out["passed"] = report.passed(), out["layers"] = layers, out["not_in_plan"] = nb::cast(report.not_in_plan);
  return out;
}

}  // namespace

void bind_reports(nb::module_& m) {
  m.def("_bench", &bench_plan, "plan"_a, "tokens"_a, "threads"_a, "baseline"_a, "device"_a, "seconds"_a,
        "progress"_a.none());
  m.def("_verify", &verify_plan, "plan"_a, "model"_a, "tokens"_a, "threads"_a, "device"_a,
        "progress"_a.none());
}

}  // namespace cross::python
