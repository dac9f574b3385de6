#include "report/made_report.h"

#include <cmath>

namespace cross::testing {

const char* const evil_name =
    "\"><script>document.title='owned'</script><img src=http://evil.example/x onerror='alert(1)'>"
    "</style></details>&amp;\x01\xff\xe2\x80\xae.weight";

namespace {

DensityGrid grid(std::int64_t rows, std::int64_t cols, double scale) {
  DensityGrid result{16, rows, cols, {}};
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c)
      result.density.push_back(
          static_cast<float>(scale * (0.5 + 0.5 * std::sin(0.9 * static_cast<double>(r)) *
                                                std::cos(0.5 * static_cast<double>(c)))));
  return result;
}

TokensDecision decision(std::int64_t tokens) {
  const auto count = static_cast<double>(tokens);
  TokensDecision at;
  at.tokens = tokens;
  at.kernel = tokens == 1 ? "index8 dot" : "index8 tile";
  at.candidate = "index8, tile";
  at.predicted_us = 10 + 2 * count;
  at.measured_us = 11 + 2.1 * count;
  at.dense = "dense onednn";
  at.dense_predicted_us = 30 + 5 * count;
  at.dense_measured_us = 31 + 4.8 * count;
  at.speedup = at.dense_measured_us / at.measured_us;
  at.policy = "longest_first";
  at.balance = LayerDecision::Balance{
      tokens, 1.12, 1.05, 1.01, 1.03, 1.14, {{1.12, 0.88}, {1.14, 0.86}}, {{1.01, 0.99}, {1.03, 0.97}}};
  at.rejected = {
      {"dense onednn", tokens, at.dense_predicted_us, at.dense_measured_us, 4096, false, "slower"},
      {"bitmap", tokens, 25 + 2 * count, 0, 0, false, "predicted 1.9 times the price of <index8>"}};
  return at;
}

LayerExplanation explanation(const std::string& name, std::int64_t rows, std::int64_t cols) {
  LayerExplanation layer;
  layer.name = name;
  layer.rows = rows;
  layer.cols = cols;
  layer.nnz = rows * cols / 5;
  layer.sparsity = 0.8;
  layer.source_dtype = "fp32";
  layer.structure = "varies by row";
  layer.row_order = "sorted by density";
  layer.blocks_dense = 2;
  layer.blocks_swing = 3;
  layer.blocks_sparse = 40;
  layer.blocks_empty = 1;
  layer.bytes_model = layer.bytes_dense = static_cast<std::uint64_t>(4 * rows * cols);
  layer.bytes_plan = layer.bytes_dense / 4;
  layer.copies = {{"fp32", {{"index8", 0.9, layer.bytes_plan}, {"empty", 0.1, 0}}, layer.bytes_plan, 4}};
  return layer;
}

void add(Report& report, const std::string& name, std::int64_t rows, std::int64_t cols) {
  LayerExplanation layer = explanation(name, rows, cols);
  LayerReport part;
  part.as_stored = grid(rows / 16, cols / 16, 0.5);
  part.as_packed = grid(rows / 16, cols / 16, 0.4);
  part.regions = {{0, rows / 2, 0, cols, "index8"},
                  {rows / 2, rows, 0, cols / 2, "bitmap"},
                  {rows / 2, rows, cols / 2, cols, "empty"}};
  for (const std::int64_t tokens : {1, 128}) {
    layer.tokens.push_back(decision(tokens));
    const TokensDecision& at = layer.tokens.back();
    part.times.push_back(
        {tokens, at.dense_measured_us, at.measured_us, at.speedup, Evidence::measured_at_compile});
  }
  report.plan.bytes_model += layer.bytes_model;
  report.plan.bytes_dense += layer.bytes_dense;
  report.plan.bytes_plan += layer.bytes_plan;
  report.plan.layers.push_back(std::move(layer));
  report.layers.push_back(std::move(part));
}

void finish(Report& report) {
  report.sparsity = 0.8;
  report.bytes_plan = report.plan.bytes_plan + report.bytes_other;
  report.bytes_dense = report.plan.bytes_dense + report.bytes_other;
}

}  // namespace

Report made_report() {
  Report report;
  report.architecture = "BertModel";
  report.plan.device = "cpu";
  report.plan.dtype = "fp32";
  report.plan.source = "all-MiniLM-L6-v2";
  report.plan.compiled_by = "cross 0.1.0";
  report.plan.compiled_on = "a CPU";
  report.plan.profile_source = "measured on this machine";
  report.plan.threads = 2;
  add(report, "encoder.layer.0.attention.self.query_key_value", 1152, 384);
  add(report, evil_name, 384, 384);
  add(report, "encoder.layer.0.output.dense", 384, 1536);
  report.bytes_other = 1000000;
  finish(report);
  for (const std::int64_t tokens : {1, 128}) {
    const TokensDecision at = decision(tokens);
    report.totals.push_back(
        {tokens, 3 * at.dense_measured_us, 3 * at.measured_us, at.speedup, Evidence::measured_at_compile});
  }
  Evaluation quality;
  quality.sentences = 100;
  quality.pairs = 4950;
  quality.rank_correlation = 0.876;
  quality.mean_cosine = 0.91;
  quality.least_cosine = 0.7;
  quality.bytes_reference = 90000000;
  quality.bytes_plan = 59000000;
  quality.reference_sentences_per_s = 400;
  quality.plan_sentences_per_s = 700;
  report.evidence.quality = quality;
  ModelBenchReport bench;
  bench.device = "a CPU, avx512, 2 threads";
  bench.architecture = "BertModel";
  bench.dtype = "fp32";
  bench.sentences = 32;
  bench.length = 128;
  bench.baseline = "onednn 2.6.3, 512 tokens a product";
  bench.dense_seconds = 0.5;
  bench.cross_seconds = 0.3;
  bench.speedup = 1.67;
  bench.repetitions = 9;
  bench.parts = {
      {"query, key, value", true, 0.2, 0.1}, {"attention", false, 0.1, 0.1}, {"norms", false, 0.01, 0.01}};
  report.evidence.model = bench;
  return report;
}

Report decoder_report() {
  Report report = made_report();
  report.architecture = "LlamaForCausalLM";
  report.evidence = {};
  DecoderEvaluation quality;
  quality.tokens = 4095;
  quality.window = 1024;
  quality.stride = 512;
  quality.reference = {12.5, 2400000000, 210, 9};
  quality.plan = {15, 800000000, 380, 30};
  report.evidence.decoder_quality = quality;
  DecoderBenchReport bench;
  bench.device = "a CPU, avx512, 2 threads";
  bench.architecture = report.architecture;
  bench.dtype = "bf16";
  bench.sparsity = 0.8;
  bench.output_sparsity = 0.75;
  bench.tied = true;
  const auto phase = [](std::int64_t tokens, double dense, double cross) {
    DecoderPhase result;
    result.tokens = tokens;
    result.baseline = "onednn 2.6.3";
    result.dense_seconds = dense;
    result.cross_seconds = cross;
    result.speedup = dense / cross;
    result.repetitions = 7;
    result.parts = {{"gate and up", true, 0.6 * dense, 0.5 * cross},
                    {"attention", false, 0.1 * dense, 0.2 * cross},
                    {"output layer", true, 0.3 * dense, 0.3 * cross}};
    return result;
  };
  bench.prefill = phase(512, 2.5, 1.25);
  bench.decode = phase(16, 1.6, 0.5);
  report.evidence.decoder = bench;
  return report;
}

Report bare_report(std::size_t layers) {
  Report report;
  report.plan.device = "cuda";
  report.plan.sm = 90;
  report.plan.sms = 132;
  report.plan.dtype = "bf16";
  report.plan.source = "llama";
  for (std::size_t i = 0; i < layers; ++i) {
    LayerExplanation layer = explanation("model.layers." + std::to_string(i) + ".mlp.down_proj", 4096, 11008);
    TokensDecision at;
    at.tokens = 1;
    at.kernel = "delta8 decode";
    layer.tokens.push_back(at);
    report.plan.bytes_dense += layer.bytes_dense;
    report.plan.bytes_plan += layer.bytes_plan;
    report.plan.layers.push_back(std::move(layer));
    LayerReport part;
    part.as_stored = grid(32, 86, 0.3);
    part.times.push_back({1, 0, 0, 0, Evidence::predicted});
    report.layers.push_back(std::move(part));
  }
  finish(report);
  return report;
}

}  // namespace cross::testing
