// explain for people and for programs.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/quantities.h"
#include "base/quote.h"
#include "cross/explain.h"

namespace cross {
namespace {

using base::bytes_text;
using base::microseconds_text;
using nlohmann::json;

/// "12.3 us (predicted 11.0 us)".
std::string times_text(double measured, double predicted) {
  if (measured > 0)
    return fmt::format("{} measured, {} predicted", microseconds_text(measured),
                       microseconds_text(predicted));
  return fmt::format("{} predicted", microseconds_text(predicted));
}

/// "4.0 MB -> 1.0 MB (4.00x smaller)".
std::string change_text(std::uint64_t before, std::uint64_t after) {
  const std::string text = fmt::format("{} -> {}", bytes_text(before), bytes_text(after));
  if (before == 0 || after == 0) return text;
  const double ratio = static_cast<double>(before) / static_cast<double>(after);
  return fmt::format("{} ({:.2f}x {})", text, ratio < 1 ? 1 / ratio : ratio,
                     ratio < 1 ? "larger" : "smaller");
}

class Writer {
 public:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...);
    text_ += '\n';
  }
  std::string text() && { return std::move(text_); }

 private:
  std::string text_;
};

void write_header(Writer& out, const PlanExplanation& plan) {
  out.line("plan of {}", base::printable(plan.source));
  if (plan.device == "cuda")
    out.line("  device     cuda, packed for {} SMs of sm{}", plan.sms, plan.sm);
  else
    out.line("  device     {}, {} {}", plan.device, plan.threads, plan.threads == 1 ? "thread" : "threads");
  out.line("  dtype      {}", plan.dtype);
  out.line("  compiled   by {} on {}", base::printable(plan.compiled_by), base::printable(plan.compiled_on));
  out.line("  profile    {}: {}", base::printable(plan.profile_source), base::printable(plan.profile));
  out.line("  layers     {}", plan.layers.size());
  out.line("  weights    {}; {} in the model", change_text(plan.bytes_dense, plan.bytes_plan),
           bytes_text(plan.bytes_model));
}

void write_copy(Writer& out, const StoredCopy& copy) {
  std::string formats;
  for (const FormatShare& share : copy.formats)
    formats += fmt::format("{}{} {:.1f} %", formats.empty() ? "" : ", ", share.format, 100 * share.share);
  const std::string panels = copy.panels == 0 ? "" : fmt::format(", {} row panels", copy.panels);
  out.line("  storage    {} of the area; {}{}, {}", formats, bytes_text(copy.bytes), panels, copy.arithmetic);
}

std::string measured_text(const std::string& policy, const LayerDecision::Balance& balance) {
  if (balance.measured <= 0) return "";
  const std::string before = policy != "same" && balance.measured_same > 0
                                 ? fmt::format(" (same: {:.3f})", balance.measured_same)
                                 : "";
  return fmt::format("; measured {:.3f}{}", balance.measured, before);
}

void write_tokens(Writer& out, const TokensDecision& decision) {
  const bool named = !decision.candidate.empty() && decision.candidate != decision.kernel;
  out.line("  {} {}: {}{}", decision.tokens, decision.tokens == 1 ? "token" : "tokens", decision.kernel,
           named ? fmt::format(" (candidate \"{}\")", base::printable(decision.candidate)) : "");
  out.line("    time     {}", times_text(decision.measured_us, decision.predicted_us));
  if (!decision.dense.empty())
    out.line("    dense    {} ({}){}", times_text(decision.dense_measured_us, decision.dense_predicted_us),
             decision.dense.substr(6),
             decision.speedup > 0 ? fmt::format("; speed-up {:.2f}x", decision.speedup) : "");
  if (decision.balance) {
    const auto& balance = *decision.balance;
    out.line("    balance  {}; predicted imbalance: same {:.3f}, paired {:.3f}, longest_first {:.3f}{}",
             decision.policy, balance.same, balance.paired, balance.longest_first,
             measured_text(decision.policy, balance));
  }
  for (const CandidateRecord& candidate : decision.rejected)
    out.line("    not      {}: {}{}", base::printable(candidate.name), base::printable(candidate.reason),
             candidate.predicted_us > 0 || candidate.measured_us > 0
                 ? fmt::format(" ({})", times_text(candidate.measured_us, candidate.predicted_us))
                 : "");
}

void write_layer(Writer& out, const LayerExplanation& layer) {
  out.line("");
  out.line("{}: {}x{}, {:.2f} % sparse, {} in the model", base::printable(layer.name), layer.rows, layer.cols,
           100 * layer.sparsity, layer.source_dtype);
  out.line("  structure  {}", base::printable(layer.structure));
  out.line("  row order  {}", base::printable(layer.row_order));
  if (layer.blocks_dense + layer.blocks_swing + layer.blocks_sparse + layer.blocks_empty > 0)
    out.line("  bands      {} dense, {} swing, {} sparse, {} empty blocks", layer.blocks_dense,
             layer.blocks_swing, layer.blocks_sparse, layer.blocks_empty);
  out.line("  bytes      {}", change_text(layer.bytes_dense, layer.bytes_plan));
  for (const StoredCopy& copy : layer.copies) write_copy(out, copy);
  for (const TokensDecision& decision : layer.tokens) write_tokens(out, decision);
}

json copy_json(const StoredCopy& copy) {
  json formats = json::array();
  for (const FormatShare& share : copy.formats)
    formats.push_back({{"format", share.format}, {"share", share.share}, {"bytes", share.bytes}});
  return {
      {"arithmetic", copy.arithmetic}, {"formats", formats}, {"bytes", copy.bytes}, {"panels", copy.panels}};
}

json tokens_json(const TokensDecision& d) {
  json rejected = json::array();
  for (const CandidateRecord& c : d.rejected)
    rejected.push_back({{"name", c.name},
                        {"reason", c.reason},
                        {"predicted_us", c.predicted_us},
                        {"measured_us", c.measured_us},
                        {"bytes", c.bytes}});
  json result = {{"tokens", d.tokens},
                 {"kernel", d.kernel},
                 {"candidate", d.candidate},
                 {"copy", d.copy},
                 {"predicted_us", d.predicted_us},
                 {"measured_us", d.measured_us},
                 {"dense", d.dense},
                 {"dense_predicted_us", d.dense_predicted_us},
                 {"dense_measured_us", d.dense_measured_us},
                 {"speedup", d.speedup},
                 {"policy", d.policy},
                 {"rejected", rejected}};
  if (d.balance)
    result["imbalance"] = {{"same", d.balance->same},
                           {"paired", d.balance->paired},
                           {"longest_first", d.balance->longest_first},
                           {"measured", d.balance->measured},
                           {"measured_same", d.balance->measured_same}};
  return result;
}

json layer_json(const LayerExplanation& layer) {
  json copies = json::array();
  for (const StoredCopy& copy : layer.copies) copies.push_back(copy_json(copy));
  json tokens = json::array();
  for (const TokensDecision& decision : layer.tokens) tokens.push_back(tokens_json(decision));
  return {{"name", layer.name},
          {"m", layer.rows},
          {"k", layer.cols},
          {"nnz", layer.nnz},
          {"sparsity", layer.sparsity},
          {"source_dtype", layer.source_dtype},
          {"structure", layer.structure},
          {"row_order", layer.row_order},
          {"bands",
           {{"dense", layer.blocks_dense},
            {"swing", layer.blocks_swing},
            {"sparse", layer.blocks_sparse},
            {"empty", layer.blocks_empty}}},
          {"bytes_model", layer.bytes_model},
          {"bytes_dense", layer.bytes_dense},
          {"bytes_plan", layer.bytes_plan},
          {"copies", copies},
          {"tokens", tokens}};
}

}  // namespace

std::string explain_text(const Plan& plan) {
  const PlanExplanation explanation = explain(plan);
  Writer out;
  write_header(out, explanation);
  for (const LayerExplanation& layer : explanation.layers) write_layer(out, layer);
  return std::move(out).text();
}

std::string explain_json(const Plan& plan) {
  const PlanExplanation e = explain(plan);
  json layers = json::array();
  for (const LayerExplanation& layer : e.layers) layers.push_back(layer_json(layer));
  json result = {{"device", e.device},           {"dtype", e.dtype},
                 {"threads", e.threads},         {"source", e.source},
                 {"compiled_by", e.compiled_by}, {"compiled_on", e.compiled_on},
                 {"profile", e.profile},         {"profile_source", e.profile_source},
                 {"bytes_model", e.bytes_model}, {"bytes_dense", e.bytes_dense},
                 {"bytes_plan", e.bytes_plan},   {"layers", layers}};
  if (e.device == "cuda") {
    result["sm"] = e.sm;
    result["sms"] = e.sms;
  }
  return result.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace cross
