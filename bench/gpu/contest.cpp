#include "gpu/contest.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "compiler/pack/gpu/pack_gpu.h"
#include "cuda/copy_bandwidth.h"
#include "cuda/random.h"
#include "cuda/replay.h"
#include "kernels/cuda/gpu_kernel.h"
#include "plan/formats/layout.h"

namespace cross_bench {

using cross::DType;
using cross::Format;
using cross::LayerPlan;
using cross::cuda::Replay;
using cross::driver::cuda::TimedLayer;
using cross::kernels::cuda::gpu_kernel_for;

namespace {

constexpr std::int64_t few_tokens = 8;

/// x of every contest begins like that of the largest one (cuda/random.h), so one reference serves all.
constexpr std::int64_t most_checked_tokens = 64;
constexpr std::uint64_t x_seed = 7;

std::vector<std::uint16_t> halves_of(const std::vector<std::byte>& bytes) {
  std::vector<std::uint16_t> values(bytes.size() / 2);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

LayerPlan packed(const Weight& weight, Format format, const cross::compiler::GpuTarget& target, int threads) {
  LayerPlan layer;
  layer.name = std::string(name_of(format));
  layer.rows = weight.shape.rows;
  layer.cols = weight.shape.cols;
  layer.source_dtype = weight.dtype;
  std::vector<std::byte> blob =
      cross::compiler::pack_gpu(weight.view(), weight.dtype, format, target, threads, layer.nnz);
  cross::Packing packing;
  packing.arithmetic = cross::PlanArithmetic::mma;
  packing.panels.push_back(
      {0, static_cast<int>(layer.rows), {{format, 0, layer.cols, 0, blob.size(), 0, 0}}});
  blob.resize(cross::formats::round_up(blob.size(), 64) + cross::formats::segment_overread);
  packing.data = cross::Blob::own(std::move(blob));
  layer.packings.push_back(std::move(packing));
  cross::Variant variant;
  variant.tokens = target.tokens;
  variant.shape = "decode";
  layer.variants.push_back(variant);
  return layer;
}

cross::kernels::cuda::PackedMatrix matrix_of(const LayerPlan& layer, DType dtype) {
  const cross::Packing& packing = layer.packings[0];
  return {packing.data.bytes.first(packing.panels[0].segments[0].bytes), nullptr, dtype};
}

}  // namespace

const LayerPlan* PackedForms::find(Format format, std::int64_t tokens) const {
  const LayerPlan* found = nullptr;
  for (const LayerPlan& layer : layers) {
    if (layer.packings[0].panels[0].segments[0].format != format) continue;
    // Layers of a format ascend in the tokens that they were packed for.
    if (found == nullptr || found->variants[0].tokens < tokens) found = &layer;
  }
  return found;
}

PackedForms pack_all(Weight weight, const cross::cuda::DeviceInfo& device,
                     const std::vector<std::int64_t>& tokens, int threads) {
  const auto start = std::chrono::steady_clock::now();
  static std::atomic<std::uint64_t> made = 0;
  PackedForms forms{std::move(weight), {}, 0, ++made};
  for (const Format format : cross::gpu_formats) {
    const auto* kernel = gpu_kernel_for(format, device.major, device.minor);
    const auto view = forms.weight.view();
    if (kernel == nullptr || !cross::compiler::gpu_format_refuses(view, view.dtype, format).empty()) continue;
    const auto wants = [&](auto fits) { return std::any_of(tokens.begin(), tokens.end(), fits); };
    const std::int64_t many =
        std::min<std::int64_t>(kernel->max_tokens, *std::max_element(tokens.begin(), tokens.end()));
    cross::compiler::GpuTarget target{device.sms, device.shared_bytes, few_tokens};
    bool serves_many = many <= few_tokens;
    if (wants([](std::int64_t t) { return t <= few_tokens; })) {
      forms.layers.push_back(packed(forms.weight, format, target, threads));
      // What runs many tokens as well was not packed for few in particular.
      serves_many =
          serves_many ||
          kernel->refuses(matrix_of(forms.layers.back(), forms.weight.dtype), many, device.shared_bytes)
              .empty();
    }
    target.tokens = many;
    if (!serves_many) forms.layers.push_back(packed(forms.weight, format, target, threads));
  }
  forms.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return forms;
}

double Contest::chain_us() const {
  return entries.empty() || best_name() == "dense" || entries.front().chain_us <= 0
             ? best_us()
             : std::min(entries.front().chain_us, best_us());
}

/// Dense weights and the fastest algorithms for them: of all, and of those that a plan may take.
struct Arena::Dense {
  cross::cuda::DenseBench bench;
  cross::cuda::BestDense best, plan;
  std::unique_ptr<Replay> best_replay, plan_replay;  ///< plan_replay: nullptr where they agree

  Dense(const cross::cuda::Library& library, const cross::cuda::DenseProblem& problem,
        const cross::cuda::DeviceInfo& device)
      : bench(problem, device),
        best(cross::cuda::best_algorithm(library, bench, 32, cross::cuda::PartialSums::any)),
        plan(cross::cuda::best_algorithm(library, bench, 32, cross::cuda::PartialSums::fp32)) {
    const auto replay_of = [&](const cross::cuda::BestDense& one) {
      return std::make_unique<Replay>(std::max(bench.copies(), 16),
                                      [&](int launch, void* on) { bench.enqueue(*one.product, launch, on); });
    };
    best_replay = replay_of(best);
    if (plan.product->algorithm() != best.product->algorithm()) plan_replay = replay_of(plan);
  }
};

/// One packing on the GPU, run in one shape.
struct Arena::Runner {
  Format format;
  std::string name;
  std::int64_t packed_for = 0;  ///< tokens
  bool expands = false;
  LayerPlan plan;
  std::unique_ptr<TimedLayer> timed;
  std::unique_ptr<Replay> replay;
};

Arena::Arena(const cross::cuda::DeviceInfo& device) : measurer_(device) {}
Arena::~Arena() = default;

Arena::Dense& Arena::dense(DType dtype, const Shape& shape, std::int64_t tokens) {
  auto& kept = dense_[{dtype, shape, tokens}];
  if (kept == nullptr)
    kept = std::make_unique<Dense>(
        measurer_.library(), cross::cuda::DenseProblem{dtype, shape.rows, shape.cols, tokens}, device());
  return *kept;
}

void Arena::take(const PackedForms& forms, bool expansion) {
  if (taken_ == forms.serial) return;
  taken_ = 0;
  runners_.clear();
  const Weight& weight = forms.weight;
  const auto add = [&](const LayerPlan& layer, bool expands) {
    const Format format = layer.packings[0].panels[0].segments[0].format;
    auto runner =
        std::make_unique<Runner>(Runner{format, (expands ? "expand " : "") + std::string(name_of(format)),
                                        layer.variants[0].tokens, expands, layer, nullptr, nullptr});
    if (expands) {
      runner->plan.variants[0].shape = "expand";
      runner->plan.variants[0].library = "cublaslt";
    }
    runner->timed = std::make_unique<TimedLayer>(runner->plan, weight.dtype, device(), measurer_.library());
    runners_.push_back(std::move(runner));
  };
  for (const LayerPlan& layer : forms.layers) {
    add(layer, false);
    const Format format = layer.packings[0].panels[0].segments[0].format;
    if (expansion && forms.find(format, most_checked_tokens) == &layer &&
        gpu_kernel_for(format, device().major, device().minor)->expand != nullptr)
      add(layer, true);
  }
  const std::int64_t count = most_checked_tokens * weight.shape.cols;
  const cross::cuda::DeviceBuffer x(static_cast<std::size_t>(count) * 2, "activations");
  cross::cuda::fill_random(x, weight.dtype, count, 1.0, x_seed);
  std::vector<std::uint16_t> values(static_cast<std::size_t>(count));
  x.download(std::as_writable_bytes(std::span(values)));
  reference_ = std::make_unique<SampledProduct>(weight, values, most_checked_tokens);
  taken_ = forms.serial;
}

double Arena::bandwidth() {
  if (bandwidth_ <= 0) bandwidth_ = cross::cuda::copy_bandwidth(device());
  return bandwidth_;
}

Contest Arena::run(const PackedForms& forms, std::int64_t tokens, const ContestOptions& options) {
  const Weight& weight = forms.weight;
  take(forms, options.expansion);
  Contest contest{weight.shape, tokens, weight.density(), 0, 0, 0, {}};
  Dense& baseline = dense(weight.dtype, weight.shape, tokens);

  std::vector<Runner*> running;
  for (const auto& owned : runners_) {
    Runner& runner = *owned;
    runner.replay.reset();
    const LayerPlan* packed = forms.find(runner.format, tokens);
    if (!runner.expands) {
      if (packed->variants[0].tokens != runner.packed_for) continue;
      const auto* kernel = gpu_kernel_for(runner.format, device().major, device().minor);
      const auto matrix = matrix_of(*packed, weight.dtype);
      if (tokens > kernel->max_tokens || !kernel->refuses(matrix, tokens, device().shared_bytes).empty())
        continue;
    }
    runner.plan.variants[0].tokens = tokens;
    runner.plan.variants[0].algorithm = runner.expands ? baseline.plan.product->algorithm() : "";
    runner.timed->use(tokens);
    const cross::cuda::Stream stream;
    runner.timed->enqueue(0, stream.get());
    stream.wait();
    if (tokens <= most_checked_tokens)
      reference_->check(halves_of(runner.timed->y()), tokens, runner.name + " " + text_of(weight.shape));
    runner.replay = std::make_unique<Replay>(
        runner.timed->launches(),
        [timed = runner.timed.get()](int launch, void* on) { timed->enqueue(launch, on); });
    running.push_back(&runner);
  }

  std::vector<Replay*> replays = {baseline.best_replay.get()};
  for (const Runner* runner : running) replays.push_back(runner->replay.get());
  if (baseline.plan_replay != nullptr) replays.push_back(baseline.plan_replay.get());
  const auto samples = cross::cuda::interleave(replays, options.seconds);
  const auto dense_times = cross::cuda::summary(samples[0]);
  contest.dense_us = dense_times.median_us;
  contest.dense_spread = dense_times.spread;
  contest.dense_plan_us =
      baseline.plan_replay != nullptr ? cross::cuda::summary(samples.back()).median_us : contest.dense_us;
  for (std::size_t i = 0; i < running.size(); ++i) {
    const auto times = cross::cuda::summary(samples[i + 1]);
    contest.entries.push_back({running[i]->name, times.median_us, times.spread, 0,
                               running[i]->timed->layer().weight_bytes(tokens)});
  }
  if (options.chains && !running.empty()) {
    const auto fastest = std::min_element(contest.entries.begin(), contest.entries.end(),
                                          [](const Entry& a, const Entry& b) { return a.us < b.us; });
    const TimedLayer& timed = *running[static_cast<std::size_t>(fastest - contest.entries.begin())]->timed;
    Replay chain(timed.launches(), [&](int launch, void* on) { timed.enqueue(launch, on, true); });
    fastest->chain_us =
        cross::cuda::summary(cross::cuda::interleave({&chain}, options.seconds / 2)[0]).median_us;
  }
  std::sort(contest.entries.begin(), contest.entries.end(),
            [](const Entry& a, const Entry& b) { return a.us < b.us; });
  return contest;
}

}  // namespace cross_bench
