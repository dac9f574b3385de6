#include "cross/explain.h"

#include <algorithm>
#include <map>

namespace cross {
namespace {

bool is_library(const CandidateRecord& candidate) { return candidate.name.starts_with("dense "); }

StoredCopy describe_copy(const LayerPlan& layer, const Packing& packing, std::uint64_t dense_bytes) {
  StoredCopy copy;
  copy.arithmetic = name_of(packing.arithmetic);
  copy.panels = packing.panels.size();
  if (packing.dense()) {
    copy.bytes = dense_bytes;
    copy.formats = {{"dense", 1.0, dense_bytes}};
    return copy;
  }
  struct Sum {
    std::int64_t area = 0;
    std::uint64_t bytes = 0;
  };
  std::map<Format, Sum> sums;
  std::int64_t covered = 0;
  for (const Panel& panel : packing.panels)
    for (const Segment& segment : panel.segments) {
      const std::int64_t area = panel.rows * (segment.k_end - segment.k_begin);
      sums[segment.format].area += area;
      sums[segment.format].bytes += segment.bytes;
      copy.bytes += segment.bytes;
      covered += area;
    }
  const std::int64_t whole = layer.rows * layer.cols;
  if (covered < whole) sums[Format::empty].area += whole - covered;
  for (const auto& [format, sum] : sums)
    copy.formats.push_back({std::string(name_of(format)),
                            static_cast<double>(sum.area) / static_cast<double>(whole), sum.bytes});
  std::stable_sort(copy.formats.begin(), copy.formats.end(),
                   [](const FormatShare& a, const FormatShare& b) { return a.share > b.share; });
  return copy;
}

std::string kernel_text(const Variant& variant, const StoredCopy& copy) {
  if (variant.shape == "library") return "dense " + variant.library;
  std::string formats;
  for (const FormatShare& share : copy.formats) {
    if (share.format == "empty") continue;
    if (!formats.empty()) formats += '+';
    formats += share.format;
  }
  return (formats.empty() ? "empty" : formats) + " " + variant.shape;
}

double ratio(double dense, double chosen) { return dense > 0 && chosen > 0 ? dense / chosen : 0; }

TokensDecision describe_variant(const LayerPlan& layer, const Variant& variant, const StoredCopy& copy) {
  TokensDecision decision;
  decision.tokens = variant.tokens;
  decision.kernel = kernel_text(variant, copy);
  decision.copy = variant.packing;
  decision.policy = variant.policy;
  for (const CandidateRecord& candidate : layer.decision.candidates) {
    if (candidate.tokens != variant.tokens) continue;
    if (is_library(candidate) && decision.dense.empty()) {
      decision.dense = candidate.name;
      decision.dense_predicted_us = candidate.predicted_us;
      decision.dense_measured_us = candidate.measured_us;
    }
    if (candidate.chosen) {
      decision.candidate = candidate.name;
      decision.predicted_us = candidate.predicted_us;
      decision.measured_us = candidate.measured_us;
    } else {
      decision.rejected.push_back(candidate);
    }
  }
  decision.speedup = ratio(decision.dense_measured_us, decision.measured_us);
  if (decision.speedup == 0) decision.speedup = ratio(decision.dense_predicted_us, decision.predicted_us);
  for (CandidateRecord& candidate : decision.rejected)
    if (candidate.reason.empty()) candidate.reason = "slower than " + decision.kernel;
  for (const auto& balance : layer.decision.balance)
    if (balance.tokens == variant.tokens) decision.balance = balance;
  return decision;
}

LayerExplanation describe_layer(const LayerPlan& layer, DType dtype) {
  LayerExplanation result;
  result.name = layer.name;
  result.rows = layer.rows;
  result.cols = layer.cols;
  result.nnz = layer.nnz;
  result.sparsity = layer.sparsity();
  result.source_dtype = name_of(layer.source_dtype);
  result.structure = layer.decision.structure;
  result.row_order = layer.decision.row_order;
  result.blocks_dense = layer.decision.blocks_dense;
  result.blocks_swing = layer.decision.blocks_swing;
  result.blocks_sparse = layer.decision.blocks_sparse;
  result.blocks_empty = layer.decision.blocks_empty;
  result.bytes_model = layer.dense_bytes(layer.source_dtype);
  result.bytes_dense = layer.dense_bytes(dtype);
  result.bytes_plan = layer.packed_bytes();
  for (const Packing& packing : layer.packings)
    result.copies.push_back(describe_copy(layer, packing, result.bytes_dense));
  for (const Variant& variant : layer.variants)
    result.tokens.push_back(
        describe_variant(layer, variant, result.copies.at(static_cast<std::size_t>(variant.packing))));
  return result;
}

}  // namespace

PlanExplanation explain(const Plan& plan) {
  PlanExplanation result;
  result.device = plan.device;
  result.dtype = name_of(plan.dtype);
  result.source = plan.source;
  result.compiled_by = plan.compiled_by;
  result.compiled_on = plan.compiled_on;
  result.profile = plan.profile;
  result.profile_source = plan.profile_source;
  result.threads = plan.threads;
  result.sm = plan.sm;
  result.sms = plan.sms;
  for (const LayerPlan& layer : plan.layers) {
    result.layers.push_back(describe_layer(layer, plan.dtype));
    result.bytes_model += result.layers.back().bytes_model;
    result.bytes_dense += result.layers.back().bytes_dense;
    result.bytes_plan += result.layers.back().bytes_plan;
  }
  return result;
}

}  // namespace cross
