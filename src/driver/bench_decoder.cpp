#include "cross/bench_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>

#include "cross/decoder.h"
#include "cross/error.h"
#include "driver/baseline.h"
#include "driver/dense_twin.h"
#include "driver/in_turn.h"
#include "driver/machine.h"
#include "driver/similarity.h"
#include "kernels/isa.h"

namespace cross {
namespace {

using clock = std::chrono::steady_clock;

/// The two sides hold the same weights: they differ by rounding, in another order of sums, and no more.
double least_agreement(DType dtype) { return dtype == DType::fp32 ? 0.9999 : 0.999; }

/// Sizes of products that the baseline may choose from when it reads a prompt; 0 is all of it.
constexpr std::int64_t prefill_products[] = {0, 256};
constexpr std::int64_t decode_products[] = {0};

/// A decoder with the tokens that it reads, and their logits.
class Side {
 public:
  Side(const Plan& plan, Executor& executor, const std::vector<std::int32_t>& ids,
       const DecoderBenchOptions& options, std::int64_t product_tokens = -1)
      : decoder_(plan, executor),
        cache_(decoder_.make_cache(options.prompt + options.generate)),
        ids_(ids),
        prompt_(static_cast<std::size_t>(options.prompt)) {
    if (product_tokens >= 0) decoder_.set_product_tokens(product_tokens);
  }

  /// Seconds that the prompt takes.
  double prefill() {
    cache_.truncate(0);
    logits_.resize(vocabulary());
    const auto start = clock::now();
    decoder_.run(std::span(ids_).first(prompt_), cache_, logits_);
    return std::chrono::duration<double>(clock::now() - start).count();
  }

  /// Seconds that the tokens after the prompt take.
  double decode() {
    if (cache_.tokens() == 0) prefill();
    cache_.truncate(static_cast<std::int64_t>(prompt_));
    logits_.resize((ids_.size() - prompt_) * vocabulary());
    const auto start = clock::now();
    for (std::size_t i = prompt_; i < ids_.size(); ++i)
      decoder_.run(std::span(ids_).subspan(i, 1), cache_,
                   std::span(logits_).subspan((i - prompt_) * vocabulary(), vocabulary()));
    return std::chrono::duration<double>(clock::now() - start).count();
  }

  Decoder& decoder() { return decoder_; }
  const std::vector<float>& logits() const { return logits_; }

 private:
  std::size_t vocabulary() const { return static_cast<std::size_t>(decoder_.info().vocabulary); }

  Decoder decoder_;
  DecoderCache cache_;
  const std::vector<std::int32_t>& ids_;
  std::size_t prompt_;
  std::vector<float> logits_;
};

using Phase = double (Side::*)();

class DecoderBench {
 public:
  DecoderBench(const Plan& plan, const DecoderBenchOptions& options)
      : plan_(plan),
        options_(options),
        executor_(make_openmp_executor(driver::resolve_threads(options.threads))) {
    const Decoder decoder(plan, *executor_);
    info_ = decoder.info();
    constexpr std::int64_t most = 1 << 17;
    if (options.prompt < 1 || options.generate < 1 || options.prompt + options.generate > most)
      throw UsageError(fmt::format("a prompt of {} tokens and {} more make no sense; use 1 to {} in all",
                                   options.prompt, options.generate, most));
    std::mt19937 random(1);
    for (std::int64_t i = 0; i < options.prompt + options.generate; ++i)
      ids_.push_back(static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(info_.vocabulary)));
  }

  DecoderBenchReport run() {
    DecoderBenchReport report;
    report.device = fmt::format("{}, {}, {} threads", kernels::cpu_name(), name_of(kernels::active_isa()),
                                executor_->workers());
    report.architecture = info_.architecture;
    report.dtype = name_of(plan_.dtype);
    report.tied = info_.tied_embeddings;
    report.sparsity = plan_.sparsity();
    report.output_sparsity = plan_.layers.back().sparsity();
    report.bytes_plan = driver::stored_bytes(plan_);
    libraries_ = driver::baseline_libraries(options_.baseline);
    steps_ = libraries_.size() * (std::size(prefill_products) + std::size(decode_products)) + 2;
    report.prefill = measure(&Side::prefill, options_.prompt, prefill_products);
    report.decode = measure(&Side::decode, options_.generate, decode_products);
    report.bytes_dense = bytes_dense_;
    return report;
  }

 private:
  void step(std::string_view what) {
    if (options_.on_step) options_.on_step(step_++, steps_, what);
  }

  /// One dense side at a time: its packed weights go before the next one comes.
  DecoderPhase measure(Phase phase, std::int64_t tokens, std::span<const std::int64_t> products) {
    struct Choice {
      kernels::DenseLibrary library;
      std::int64_t product_tokens = 0;
    };
    std::optional<Choice> best;
    double best_seconds = 0;
    const bool only_one = libraries_.size() * products.size() == 1;
    for (const auto library : libraries_) {
      if (only_one) {
        best = {library, products[0]};
        break;
      }
      const Plan twin = driver::dense_twin(plan_, std::string(name_of(library)));
      for (const std::int64_t product_tokens : products) {
        step(name(library, product_tokens, tokens));
        Side side(twin, *executor_, ids_, options_, product_tokens);
        (side.*phase)();  // packs the weights
        const double seconds = std::min((side.*phase)(), (side.*phase)());
        if (best && seconds >= best_seconds) continue;
        best_seconds = seconds;
        best = {library, product_tokens};
      }
    }
    const Plan twin = driver::dense_twin(plan_, std::string(name_of(best->library)));
    bytes_dense_ = driver::stored_bytes(twin);
    Side dense(twin, *executor_, ids_, options_, best->product_tokens);
    Side cross(plan_, *executor_, ids_, options_);
    DecoderPhase result;
    result.tokens = tokens;
    result.baseline = name(best->library, best->product_tokens, tokens);
    step(fmt::format("{} and the plan in turn", result.baseline));
    compare(result, dense, cross, phase);
    time(result, dense, cross, phase);
    return result;
  }

  static std::string name(kernels::DenseLibrary library, std::int64_t product_tokens, std::int64_t tokens) {
    const std::string text = fmt::format("{} {}", name_of(library), kernels::dense_library_version(library));
    return product_tokens == 0 || tokens == 1 ? text
                                              : fmt::format("{}, {} tokens a product", text, product_tokens);
  }

  void compare(DecoderPhase& result, Side& dense, Side& cross, Phase phase) const {
    (dense.*phase)();
    (cross.*phase)();
    result.least_cosine = driver::least_cosine(dense.logits(), cross.logits(), info_.vocabulary);
    if (!(result.least_cosine >= least_agreement(plan_.dtype)))
      throw VerificationError(
          fmt::format("logits of the plan and of the dense model have cosine {:.6f}; it must be {} or more; "
                      "nothing was timed",
                      result.least_cosine, least_agreement(plan_.dtype)));
  }

  void time(DecoderPhase& result, Side& dense, Side& cross, Phase phase) const {
    driver::time_networks(
        result, dense.decoder(), cross.decoder(), [&] { return (dense.*phase)(); },
        [&] { return (cross.*phase)(); }, options_.seconds / 2);
  }

  const Plan& plan_;
  const DecoderBenchOptions& options_;
  std::unique_ptr<Executor> executor_;
  DecoderInfo info_;
  std::vector<std::int32_t> ids_;
  std::vector<kernels::DenseLibrary> libraries_;
  std::size_t step_ = 0, steps_ = 0;
  std::uint64_t bytes_dense_ = 0;
};

}  // namespace

double DecoderPhase::other_share() const { return cross::other_share(parts); }

DecoderBenchReport bench_decoder(const Plan& plan, const DecoderBenchOptions& options) {
  return DecoderBench(plan, options).run();
}

}  // namespace cross
