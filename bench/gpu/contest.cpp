#include "gpu/contest.h"

#include <fmt/format.h>

#include <algorithm>

#include "cuda/copy_bandwidth.h"
#include "cuda/random.h"
#include "cuda/replay.h"

namespace cross_bench {

using cross::DType;
using cross::Format;
using cross::LayerPlan;
using cross::cuda::Replay;
using cross::driver::cuda::TimedLayer;
using cross::kernels::cuda::gpu_kernel_for;

namespace {

constexpr std::int64_t always_runs = -1;

/// x of every contest begins like that of the largest one (cuda/random.h), so one reference serves all.
constexpr std::uint64_t x_seed = 7;

/// Suggestions of cuBLASLt that are tried, and launches of a product that runs long.
constexpr int most_algorithms = 32, most_algorithms_if_long = 8;
constexpr int long_launches = 4;

/// How far behind the fastest an entry is not timed again.
constexpr double hopeless = 1.15;

double work(const Shape& shape, std::int64_t tokens) {
  return static_cast<double>(shape.rows * shape.cols) * static_cast<double>(tokens);
}

int launches_for(int copies, const Weight& weight, std::int64_t tokens) {
  return cross::cuda::runs_long({weight.dtype, weight.shape.rows, weight.shape.cols, tokens})
             ? long_launches
             : std::max(copies, 16);
}

}  // namespace

double bitmap_bytes(const Shape& shape, double density, DType dtype) {
  return static_cast<double>(shape.rows * shape.cols) *
         (0.125 + density * static_cast<double>(size_of(dtype)));
}

double Contest::tflops(double us) const { return 2e-6 * work(shape, tokens) / us; }

double Contest::chain_us() const {
  return entries.empty() || best_name() == "dense" || entries.front().chain_us <= 0
             ? best_us()
             : std::min(entries.front().chain_us, best_us());
}

const Entry* Contest::stored_once() const {
  for (const Entry& entry : entries)
    if (static_cast<double>(entry.bytes) <= most_over_bitmap * bitmap_bytes(shape, density, dtype))
      return &entry;
  return nullptr;
}

/// The fastest algorithms for a problem: of all, and of those that a plan may take.
struct Arena::Dense {
  cross::cuda::BestDense best, other;
  const cross::cuda::DenseProduct& plan() const {
    return other.product != nullptr ? *other.product : *best.product;
  }
};

/// One packing on the GPU, run in one shape.
struct Arena::Runner {
  Format format;
  std::string shape;  ///< of the variant: "decode", "prefill", "expand"
  std::string name;
  std::int64_t packed_for = 0;  ///< tokens; always_runs: of the caller's own packings
  LayerPlan plan;
  std::unique_ptr<TimedLayer> timed;
  std::unique_ptr<Replay> replay;
};

Arena::Arena(const cross::cuda::DeviceInfo& device) : measurer_(device) {}
Arena::~Arena() = default;

const Arena::Dense& Arena::dense(DType dtype, const Shape& shape, std::int64_t tokens) {
  using cross::cuda::PartialSums;
  auto& kept = dense_[{dtype, shape, tokens}];
  if (kept != nullptr) return *kept;
  kept = std::make_unique<Dense>();
  const int most =
      cross::cuda::runs_long(dense_weights_->problem()) ? most_algorithms_if_long : most_algorithms;
  kept->best = cross::cuda::best_algorithm(library(), *dense_weights_, most, PartialSums::any);
  if (!kept->best.product->sums_in_fp32())
    kept->other = cross::cuda::best_algorithm(library(), *dense_weights_, most, PartialSums::fp32);
  return *kept;
}

double Arena::dense_tflops(DType dtype) const {
  const auto found = dense_tflops_.find(dtype);
  return found == dense_tflops_.end() ? 0 : found->second;
}

void Arena::take(const PackedForms& forms, bool expansion) {
  if (taken_ == forms.serial) return;
  taken_ = 0;
  runners_.clear();
  dense_weights_.reset();
  const Weight& weight = forms.weight;
  const std::int64_t most = *std::max_element(forms.tokens.begin(), forms.tokens.end());
  dense_weights_ = std::make_unique<cross::cuda::DenseBench>(
      cross::cuda::DenseProblem{weight.dtype, weight.shape.rows, weight.shape.cols, most}, device());
  dense_weights_->fill(weight.bytes, {});

  const auto add = [&](const LayerPlan& layer, const std::string& shape) {
    const Format format = segment_of(layer).format;
    const std::string name =
        shape == "decode" ? std::string(name_of(format)) : fmt::format("{} {}", shape, name_of(format));
    auto runner = std::make_unique<Runner>(
        Runner{format, shape, name, layer.variants[0].tokens, layer, nullptr, nullptr});
    runner->plan.variants[0].shape = shape;
    if (shape == "expand") runner->plan.variants[0].library = "cublaslt";
    runner->timed = std::make_unique<TimedLayer>(runner->plan, weight.dtype, device(), library());
    runners_.push_back(std::move(runner));
  };
  for (const LayerPlan& layer : forms.layers) {
    const Format format = segment_of(layer).format;
    const auto* kernel = gpu_kernel_for(format, device().major, device().minor);
    if (kernel->max_tokens > 0) add(layer, "decode");
    if (forms.find(format, most) != &layer) continue;
    if (kernel->prefill.launch != nullptr) add(layer, "prefill");
    if (expansion && kernel->expand != nullptr) add(layer, "expand");
  }
  for (const LayerPlan& layer : forms.others) {
    add(layer, "decode");
    runners_.back()->name = layer.name;
    runners_.back()->packed_for = always_runs;
  }

  std::vector<std::int64_t> sample = SampledProduct::sample_tokens(forms.tokens);
  const std::size_t row_bytes = static_cast<std::size_t>(weight.shape.cols) * size_of(weight.dtype);
  const cross::cuda::DeviceBuffer x(static_cast<std::size_t>(most) * row_bytes, "activations");
  cross::cuda::fill_random(x, weight.dtype, most * weight.shape.cols, 1.0, x_seed);
  std::vector<std::byte> values(sample.size() * row_bytes);
  for (std::size_t i = 0; i < sample.size(); ++i)
    x.download(std::span(values).subspan(i * row_bytes, row_bytes),
               static_cast<std::size_t>(sample[i]) * row_bytes);
  reference_ = std::make_unique<SampledProduct>(weight, std::move(sample), values);
  taken_ = forms.serial;
}

double Arena::bandwidth() {
  if (bandwidth_ <= 0) bandwidth_ = cross::cuda::copy_bandwidth(device());
  return bandwidth_;
}

double Arena::checked(const Runner& runner, std::int64_t tokens) const {
  const cross::cuda::Stream stream;
  runner.timed->enqueue(0, stream.get());
  stream.wait();
  return reference_
      ->check(runner.timed->y_of(reference_->tokens_below(tokens)), tokens,
              fmt::format("{} {}x{}", runner.name, runner.plan.rows, runner.plan.cols))
      .relative;
}

Contest Arena::run(const PackedForms& forms, std::int64_t tokens, const ContestOptions& options) {
  const Weight& weight = forms.weight;
  take(forms, options.expansion);
  Contest contest{weight.dtype, weight.shape, tokens, weight.density(), options.burst, 0, 0, 0, {}, {}};
  dense_weights_->use(tokens);
  const Dense& baseline = dense(weight.dtype, weight.shape, tokens);

  std::vector<std::unique_ptr<Replay>> others;  // dense and rivals; dense first
  const auto add = [&](int copies, const auto& enqueue) {
    others.push_back(std::make_unique<Replay>(launches_for(copies, weight, tokens), enqueue));
  };
  const auto add_dense = [&](const cross::cuda::DenseProduct& product) {
    add(dense_weights_->copies(),
        [&](int launch, void* on) { dense_weights_->enqueue(product, launch, on); });
  };
  add_dense(*baseline.best.product);
  if (baseline.other.product != nullptr) add_dense(*baseline.other.product);
  const std::size_t first_rival = others.size();
  for (const Rival& rival : options.rivals) {
    if (rival.capturable)
      add(rival.copies, rival.enqueue);
    else
      others.push_back(Replay::eager(launches_for(rival.copies, weight, tokens), rival.enqueue));
  }

  std::vector<Runner*> running;
  for (const auto& owned : runners_) {
    Runner& runner = *owned;
    runner.replay.reset();
    const LayerPlan* packed = forms.find(runner.format, tokens);
    const auto* kernel = gpu_kernel_for(runner.format, device().major, device().minor);
    if (runner.shape == "prefill" &&
        (tokens > kernel->prefill.max_tokens ||
         !kernel->prefill.refuses(matrix_of(*packed, weight.dtype), tokens, device().shared_bytes).empty()))
      continue;
    if (runner.shape == "decode" && runner.packed_for != always_runs) {
      if (packed->variants[0].tokens != runner.packed_for) continue;
      // A format without another way runs more tokens in slices.
      const bool slices =
          tokens > kernel->max_tokens && kernel->expand == nullptr && kernel->prefill.launch == nullptr;
      const std::int64_t once = slices ? kernel->max_tokens : tokens;
      if (once > kernel->max_tokens ||
          !kernel->refuses(matrix_of(*packed, weight.dtype), once, device().shared_bytes).empty())
        continue;
    }
    runner.plan.variants[0].tokens = tokens;
    runner.plan.variants[0].algorithm = runner.shape == "expand" ? baseline.plan().algorithm() : "";
    runner.timed->use(tokens);
    const double error = checked(runner, tokens);
    runner.replay = std::make_unique<Replay>(
        launches_for(runner.timed->launches(), weight, tokens),
        [timed = runner.timed.get()](int launch, void* on) { timed->enqueue(launch, on); });
    contest.entries.push_back(
        {runner.name, 0, 0, 0, runner.timed->layer().weight_bytes(tokens), error, false});
    running.push_back(&runner);
  }

  std::vector<Replay*> replays;
  for (const auto& other : others) replays.push_back(other.get());
  for (const Runner* runner : running) replays.push_back(runner->replay.get());
  std::vector<cross::cuda::Times> times(replays.size());
  const auto time = [&](const std::vector<std::size_t>& which, const cross::cuda::Turns& turns) {
    std::vector<Replay*> some;
    for (const std::size_t i : which) some.push_back(replays[i]);
    const auto samples = cross::cuda::interleave(some, turns);
    for (std::size_t i = 0; i < which.size(); ++i) times[which[i]] = cross::cuda::summary(samples[i]);
  };
  std::vector<std::size_t> all(replays.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  if (options.burst <= 0) {
    time(all, {.seconds = options.seconds});
  } else {
    time(all, {.least = 2});
    double fastest = times[0].median_us, once = 0;
    std::size_t best_once = 0;
    for (std::size_t i = others.size(); i < all.size(); ++i) {
      fastest = std::min(fastest, times[i].median_us);
      const Entry& entry = contest.entries[i - others.size()];
      const bool small = static_cast<double>(entry.bytes) <=
                         most_over_bitmap * bitmap_bytes(weight.shape, contest.density, weight.dtype);
      if (small && (once == 0 || times[i].median_us < once)) {
        once = times[i].median_us;
        best_once = i;
      }
    }
    std::erase_if(all, [&](std::size_t i) {
      const bool slow = !options.keep_all && i >= others.size() && i != best_once &&
                        times[i].median_us > hopeless * fastest;
      if (slow) contest.entries[i - others.size()].first_look = true;
      return slow;
    });
    time(all, cross::cuda::sampled(options.burst));
  }

  contest.dense_us = times[0].median_us;
  contest.dense_spread = times[0].spread;
  contest.dense_plan_us = baseline.other.product != nullptr ? times[1].median_us : contest.dense_us;
  double& most_tflops = dense_tflops_[weight.dtype];
  most_tflops = std::max(most_tflops, contest.tflops(contest.dense_us));
  for (std::size_t r = 0; r < options.rivals.size(); ++r)
    contest.rivals.push_back({options.rivals[r].name, times[first_rival + r].median_us,
                              times[first_rival + r].spread, 0, 0, 0, false});
  for (std::size_t i = 0; i < running.size(); ++i) {
    contest.entries[i].us = times[others.size() + i].median_us;
    contest.entries[i].spread = times[others.size() + i].spread;
  }
  if (options.chains && !running.empty()) {
    const auto fastest = std::min_element(contest.entries.begin(), contest.entries.end(),
                                          [](const Entry& a, const Entry& b) { return a.us < b.us; });
    const TimedLayer& timed = *running[static_cast<std::size_t>(fastest - contest.entries.begin())]->timed;
    Replay chain(timed.launches(), [&](int launch, void* on) { timed.enqueue(launch, on, true); });
    fastest->chain_us =
        cross::cuda::summary(cross::cuda::interleave({&chain}, {.seconds = options.seconds / 2})[0])
            .median_us;
  }
  std::sort(contest.entries.begin(), contest.entries.end(),
            [](const Entry& a, const Entry& b) { return a.us < b.us; });
  return contest;
}

}  // namespace cross_bench
