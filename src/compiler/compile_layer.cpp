#include "compiler/compile_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "compiler/balance/schedule.h"
#include "compiler/select/choose.h"
#include "cross/analysis.h"
#include "cross/error.h"
#include "plan/formats/layout.h"

namespace cross::compiler {
namespace {

/// Candidates that are packed and measured; the profile ranks the rest out.
constexpr std::size_t most_measured = 3;
/// A candidate predicted to be this much worse than the best is not worth measuring.
constexpr double hopeless = 1.3;

/// Between these ratios of dense time to a candidate's, a few repetitions of each do not tell who is faster
/// on a shared machine: identical products differed by up to 1.27.
constexpr double least_clear_loss = 0.8;
constexpr double least_clear_gain = 1.3;
/// Slow phases of a shared machine take twice as long and outlast a layer: a ratio of two times taken apart
/// is believed only where it is as predicted within this factor.
constexpr double most_surprise = 1.25;

/// Runs the stages of one layer and keeps what they produce.
class LayerCompiler {
 public:
  LayerCompiler(const LayerRequest& request, const LayerContext& context)
      : request_(request),
        context_(context),
        options_(context.options),
        family_(make_family(request, context)) {}

  LayerPlan run() {
    plan_.name = request_.name;
    plan_.rows = request_.weight.rows;
    plan_.cols = request_.weight.cols;
    plan_.source_dtype = request_.weight.dtype;
    plan_.bias = request_.bias;

    stage(
        "analyse", [&] { analyse_weight(); }, [this] { return dump_analysis(); });
    stage(
        "reorder", [&] { plan_.decision.row_order = family_->reorder(analysis_); },
        [this] { return family_->dump_order(plan_.decision.row_order); });
    stage(
        "cost", [&] { family_->count(); }, [this] { return family_->dump_counts(); });
    stage(
        "partition", [&] { enumerate(); }, [this] { return dump_candidates(); });
    stage(
        "pack", [&] { pack_and_measure(); }, [this] { return dump_options(); });
    stage(
        "balance", [&] { finish(); }, [this] { return dump_schedule(); });
    return std::move(plan_);
  }

 private:
  /// A candidate packed once, with one variant per token count.
  struct Packed {
    std::size_t candidate = 0;
    Packing packing;
    std::vector<Variant> variants;
    std::vector<std::optional<LayerDecision::Balance>> balance;
  };

  static std::unique_ptr<LayerFamily> make_family(const LayerRequest& request, const LayerContext& context) {
    const FamilyInputs inputs{request.weight, context.options, context.profile};
    return context.gpu != nullptr ? make_gpu_family(inputs, *context.gpu)
                                  : make_cpu_family(inputs, context.isa);
  }

  template <class Work, class Dump>
  void stage(std::string_view name, Work work, Dump dump) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (options_.on_stage) options_.on_stage({request_.name, name, seconds, dump});
  }

  void analyse_weight() {
    analysis_ = analyse(request_.weight, {options_.dtype});
    plan_.nnz = analysis_.nnz;
    std::string text(name_of(analysis_.uniformity.verdict));
    if (analysis_.n_m && !analysis_.n_m->by_chance)
      text += fmt::format(", {}:{}", analysis_.n_m->keep, analysis_.n_m->group);
    if (analysis_.blocks)
      text += fmt::format(", blocks of {}x{}", analysis_.blocks->block_rows, analysis_.blocks->block_cols);
    plan_.decision.structure = text;
  }

  void enumerate() {
    CandidateSet set = family_->enumerate(analysis_);
    plan_.decision.blocks_dense = static_cast<int>(set.bands.dense);
    plan_.decision.blocks_swing = static_cast<int>(set.bands.swing);
    plan_.decision.blocks_sparse = static_cast<int>(set.bands.sparse);
    plan_.decision.blocks_empty = static_cast<int>(set.bands.empty);
    candidates_ = std::move(set.candidates);
    drop_hopeless();
    if (ranked_.empty() && options_.format != "auto" && options_.format != "dense")
      throw UsageError(fmt::format("layer {}: format {} cannot hold it: {}", request_.name, options_.format,
                                   candidates_.empty() ? "no such format" : candidates_.front().dropped));
  }

  static double score(const LayoutCandidate& candidate) {
    double sum = 0;
    for (const PricedShape& shape : candidate.shapes) sum += std::log(std::max(shape.predicted_us, 1e-6));
    return sum / static_cast<double>(candidate.shapes.size());
  }

  /// Keeps the few best of those that can run; ranked_ is their order.
  void drop_hopeless() {
    for (std::size_t c = 0; c < candidates_.size(); ++c)
      if (candidates_[c].dropped.empty()) ranked_.push_back(c);
    std::stable_sort(ranked_.begin(), ranked_.end(), [&](std::size_t a, std::size_t b) {
      return score(candidates_[a]) < score(candidates_[b]);
    });
    std::vector<std::size_t> kept;
    for (const std::size_t c : ranked_) {
      // A candidate that is far off on average may still be the best at one token count.
      bool best_somewhere = false;
      for (std::size_t t = 0; t < options_.tokens.size(); ++t) {
        double least = candidates_[c].shapes[t].predicted_us;
        for (const std::size_t other : ranked_)
          least = std::min(least, candidates_[other].shapes[t].predicted_us);
        best_somewhere = best_somewhere || candidates_[c].shapes[t].predicted_us <= least;
      }
      const double behind = std::exp(score(candidates_[c]) - score(candidates_[ranked_.front()]));
      const bool worth = behind <= hopeless || (best_somewhere && options_.copies > 1);
      if (worth && kept.size() < most_measured)
        kept.push_back(c);
      else
        candidates_[c].dropped =
            fmt::format("predicted {:.2f} times the price of {}", behind, candidates_[ranked_.front()].name);
    }
    ranked_ = std::move(kept);
  }

  Packed pack(std::size_t index) {
    const LayoutCandidate& candidate = candidates_[index];
    Packed packed{index, {}, {}, {}};
    packed.packing = family_->pack(candidate, plan_.nnz);
    packed.variants.resize(options_.tokens.size());
    packed.balance.resize(options_.tokens.size());
    for (std::size_t t = 0; t < options_.tokens.size(); ++t) schedule(packed, t, candidate.shapes[t]);
    return packed;
  }

  /// Measures a packed candidate at one token count; takes the other shape if prices left that open and it is
  /// faster.
  double measured_us(Packed& packed, std::size_t t) {
    const std::int64_t tokens = options_.tokens[t];
    double us = context_.measurer->layer_us(alone(packed), options_.dtype, tokens);
    if (const auto& other = candidates_[packed.candidate].close_shapes[t]) {
      Packed changed = packed;
      schedule(changed, t, *other);
      const double other_us = context_.measurer->layer_us(alone(changed), options_.dtype, tokens);
      if (other_us < us) {
        packed = std::move(changed);
        us = other_us;
      }
    }
    if (const auto library = context_.measurer->sparse_library(alone(packed), options_.dtype, tokens);
        library && library->gain > 1) {
      Variant& variant = packed.variants[t];
      variant.shape = "cusparselt";
      variant.library.clear();
      variant.algorithm = library->algorithm;
      us /= library->gain;
    }
    const double dense_us = options_considered_[0].us[t];
    if (clear(dense_us / us, dense_[t].predicted_us / candidates_[packed.candidate].shapes[t].predicted_us))
      return us;
    const auto ratio = context_.measurer->speedup(alone(packed), options_.dtype, tokens, dense_[t].library);
    return ratio ? dense_us / *ratio : us;
  }

  /// Whether times taken one after the other tell which of two is faster. Without a prediction (0, inf, NaN)
  /// they do not.
  static bool clear(double gain, double predicted) {
    if (gain > least_clear_loss && gain < least_clear_gain) return false;
    return gain * most_surprise > predicted && gain < predicted * most_surprise;
  }

  void schedule(Packed& packed, std::size_t t, const PricedShape& shape) const {
    Variant& variant = packed.variants[t];
    variant = {};
    variant.tokens = options_.tokens[t];
    variant.shape = shape.shape;
    packed.balance[t] = family_->schedule(variant, shape);
    if (!variant.library.empty()) variant.algorithm = dense_[t].algorithm;
  }

  /// The plan as it would be with this candidate alone.
  LayerPlan alone(const Packed& packed) const {
    LayerPlan layer;
    layer.name = plan_.name;
    layer.rows = plan_.rows;
    layer.cols = plan_.cols;
    layer.bias = plan_.bias;
    layer.nnz = plan_.nnz;
    if (candidates_[packed.candidate].sorted) layer.row_order = row_order();
    layer.packings = {packed.packing};
    layer.variants = packed.variants;
    return layer;
  }

  void pack_and_measure() {
    // The dense library packs a copy of its own: the weight must not be in memory beside it.
    context_.release_weight();
    price_dense();
    for (const std::size_t c : ranked_) {
      packed_.push_back(pack(c));
      context_.release_weight();
      Option option{candidates_[c].name, {}, false, candidates_[c].sorted};
      for (std::size_t t = 0; t < options_.tokens.size(); ++t)
        option.us.push_back(context_.measurer != nullptr ? measured_us(packed_.back(), t)
                                                         : candidates_[c].shapes[t].predicted_us);
      options_considered_.push_back(std::move(option));
    }
    // A forced format is not compared with dense.
    if (options_.format != "auto" && options_.format != "dense" && !ranked_.empty()) {
      choice_.stored = {1};
      choice_.per_tokens.assign(options_.tokens.size(), 1);
      return;
    }
    choice_ = choose(options_considered_, options_.copies);
  }

  /// options_considered_[0]: the best library per token count.
  void price_dense() {
    Option dense{"dense", {}, true, false};
    std::vector<std::string> libraries = family_->libraries();
    DenseQuote none{libraries.front(), std::numeric_limits<double>::infinity(), 0, {}};
    if (context_.measurer != nullptr) libraries = context_.measurer->libraries();
    for (const std::int64_t tokens : options_.tokens) {
      DenseQuote best = none;
      for (const std::string& library : libraries) {
        DenseQuote quote{
            library,
            context_.profile
                .time_us("dense." + library, family_->dense_arithmetic(), 1.0, tokens, plan_.rows, plan_.cols)
                .value_or(0),
            0,
            {}};
        if (context_.measurer != nullptr) {
          const DenseMeasurement measured = context_.measurer->dense(library, options_.dtype, plan_.rows,
                                                                     plan_.cols, !plan_.bias.empty(), tokens);
          quote.measured_us = measured.us;
          quote.algorithm = measured.algorithm;
        }
        if (quote.us() > 0 && quote.us() < best.us()) best = quote;
      }
      dense.us.push_back(best.us());
      dense_.push_back(best);
    }
    options_considered_.push_back(std::move(dense));
  }

  /// Stores what was chosen and writes down why.
  void finish() {
    std::vector<int> packing_of(options_considered_.size(), -1);
    for (const std::size_t option : choice_.stored) {
      packing_of[option] = static_cast<int>(plan_.packings.size());
      if (option == 0) {
        plan_.packings.push_back(family_->pack_dense(plan_.nnz));
        context_.release_weight();
      } else {
        Packed& packed = packed_[option - 1];
        if (candidates_[packed.candidate].sorted) plan_.row_order = row_order();
        plan_.packings.push_back(packed.packing);
      }
    }
    for (std::size_t t = 0; t < options_.tokens.size(); ++t) {
      const std::size_t option = choice_.per_tokens[t];
      Variant variant;
      if (option == 0) {
        variant.tokens = options_.tokens[t];
        variant.shape = "library";
        variant.library = dense_[t].library;
        variant.algorithm = dense_[t].algorithm;
        variant.policy = "library";
      } else {
        variant = packed_[option - 1].variants[t];
        if (const auto& balance = packed_[option - 1].balance[t]) plan_.decision.balance.push_back(*balance);
      }
      variant.packing = packing_of[option];
      plan_.variants.push_back(std::move(variant));
    }
    if (context_.measurer != nullptr)
      for (LayerDecision::Balance& balance : plan_.decision.balance) measure_balance(balance);
    family_->describe_packing(plan_.decision);
    record();
  }

  /// Worker loads as the plan deals the work, and as the policy `same` would.
  void measure_balance(LayerDecision::Balance& balance) const {
    const WorkerMeasurement after = context_.measurer->worker_loads(plan_, options_.dtype, balance.tokens);
    WorkerMeasurement before = after;
    LayerPlan alike = plan_;
    for (Variant& variant : alike.variants)
      if (variant.tokens == balance.tokens && variant.policy != "same") {
        const auto copy = static_cast<std::size_t>(variant.packing);
        variant.policy = "same";
        variant.schedule = schedule_alike(variant, plan_.packings[copy].panels.size());
        before = context_.measurer->worker_loads(alike, options_.dtype, balance.tokens);
      }
    balance.measured = after.imbalance;
    balance.measured_same = before.imbalance;
    balance.after.measured = after.loads;
    balance.before.measured = before.loads;
  }

  void record() {
    for (std::size_t t = 0; t < options_.tokens.size(); ++t) {
      const double dense_us = options_considered_[0].us[t];
      const auto add = [&](const std::string& name, double predicted, double measured, std::uint64_t bytes,
                           bool chosen, std::string reason) {
        plan_.decision.candidates.push_back(
            {name, options_.tokens[t], predicted, measured, bytes, chosen, std::move(reason)});
      };
      const bool dense_chosen = choice_.per_tokens[t] == 0;
      add("dense " + dense_[t].library, dense_[t].predicted_us, dense_[t].measured_us,
          plan_.dense_bytes(options_.dtype), dense_chosen,
          dense_chosen ? "nothing sparse is faster here within the copies allowed" : "");
      for (const LayoutCandidate& candidate : candidates_) {
        if (!candidate.dropped.empty())
          add(candidate.name, candidate.shapes.size() > t ? candidate.shapes[t].predicted_us : 0, 0, 0, false,
              candidate.dropped);
      }
      for (std::size_t p = 0; p < packed_.size(); ++p) {
        const Option& option = options_considered_[p + 1];
        const LayoutCandidate& candidate = candidates_[packed_[p].candidate];
        const bool chosen = choice_.per_tokens[t] == p + 1;
        const double ratio = dense_us / option.us[t];
        add(fmt::format("{}, {}", option.name, packed_[p].variants[t].shape),
            candidate.shapes[t].predicted_us, context_.measurer != nullptr ? option.us[t] : 0,
            packed_[p].packing.data.bytes.size() - formats::segment_overread, chosen,
            fmt::format("{:.2f}x of dense{}{}", ratio, chosen || ratio < 1 ? "" : why_not(option),
                        packed_[p].variants[t].shape == "cusparselt"
                            ? "; the library keeps a second copy of the weights on the GPU, 9/16 of dense"
                            : ""));
      }
    }
  }

  /// Why an option that beats dense at some token count was not taken there.
  std::string why_not(const Option& option) const {
    std::string losing;
    for (std::size_t t = 0; t < options_.tokens.size(); ++t)
      if (option.us[t] > options_considered_[0].us[t])
        losing += fmt::format("{}{}", losing.empty() ? "" : ", ", options_.tokens[t]);
    if (losing.empty()) return "; another is faster over all token counts";
    const std::string cause = fmt::format("; slower than dense at {} tokens", losing);
    return cause + (options_.copies == 1 ? ", and one copy serves all: --copies 2 could keep both" : "");
  }

  // Dumps: what --dump-stage shows.
  std::string dump_analysis() const {
    return nlohmann::json({{"density", analysis_.density},
                           {"structure", plan_.decision.structure},
                           {"outside_two_four", analysis_.outside_two_four},
                           {"row_density_p10", analysis_.row_density.p10},
                           {"row_density_p90", analysis_.row_density.p90},
                           {"uniformity", analysis_.uniformity.reason}})
        .dump();
  }
  std::string dump_candidates() const {
    nlohmann::json list = nlohmann::json::array();
    for (const LayoutCandidate& c : candidates_) {
      nlohmann::json shapes = nlohmann::json::array();
      for (std::size_t t = 0; t < c.shapes.size(); ++t)
        shapes.push_back({{"tokens", options_.tokens[t]},
                          {"shape", c.shapes[t].shape},
                          {"predicted_us", c.shapes[t].predicted_us}});
      nlohmann::json panels = nlohmann::json::array();
      for (const Panel& panel : c.layout.panels) {
        nlohmann::json segments = nlohmann::json::array();
        for (const cross::Segment& s : panel.segments)
          segments.push_back({name_of(s.format), s.k_begin, s.k_end});
        panels.push_back({{"row_begin", panel.row_begin}, {"rows", panel.rows}, {"segments", segments}});
      }
      list.push_back({{"name", c.name}, {"dropped", c.dropped}, {"shapes", shapes}, {"panels", panels}});
    }
    return nlohmann::json({{"bands",
                            {{"dense", plan_.decision.blocks_dense},
                             {"swing", plan_.decision.blocks_swing},
                             {"sparse", plan_.decision.blocks_sparse},
                             {"empty", plan_.decision.blocks_empty}}},
                           {"candidates", list}})
        .dump();
  }
  std::string dump_options() const {
    nlohmann::json list = nlohmann::json::array();
    for (const Option& option : options_considered_)
      list.push_back({{"name", option.name}, {"us", option.us}});
    return nlohmann::json({{"tokens", options_.tokens}, {"options", list}, {"stored", choice_.stored}})
        .dump();
  }
  std::string dump_schedule() const {
    nlohmann::json list = nlohmann::json::array();
    for (const Variant& v : plan_.variants) {
      nlohmann::json workers = nlohmann::json::array();
      for (const auto& worker : v.schedule) {
        nlohmann::json pieces = nlohmann::json::array();
        for (const PlanPiece& piece : worker) pieces.push_back({piece.item, piece.panel});
        workers.push_back(pieces);
      }
      list.push_back({{"tokens", v.tokens}, {"policy", v.policy}, {"workers", workers}});
    }
    return list.dump();
  }

  std::vector<std::int32_t> row_order() const {
    const auto order = family_->row_order();
    return {order.begin(), order.end()};
  }

  /// The dense library at one token count.
  struct DenseQuote {
    std::string library;
    double predicted_us = 0;
    double measured_us = 0;
    std::string algorithm;  ///< of the library, where it lets us choose
    double us() const { return measured_us > 0 ? measured_us : predicted_us; }
  };

  const LayerRequest& request_;
  const LayerContext& context_;
  const CompileOptions& options_;
  std::unique_ptr<LayerFamily> family_;
  LayerPlan plan_;
  MatrixAnalysis analysis_;
  std::vector<LayoutCandidate> candidates_;
  std::vector<std::size_t> ranked_;
  std::vector<Packed> packed_;
  std::vector<DenseQuote> dense_;
  std::vector<Option> options_considered_;  ///< dense, then packed_
  Choice choice_;
};

}  // namespace

LayerPlan compile_layer(const LayerRequest& request, const LayerContext& context) {
  return LayerCompiler(request, context).run();
}

}  // namespace cross::compiler
