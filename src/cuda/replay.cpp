#include "cuda/replay.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "cuda/error.h"

namespace cross::cuda {

int copies_beyond_cache(std::size_t bytes, std::size_t l2_bytes) {
  constexpr std::size_t most = 1024;
  return static_cast<int>(
      std::clamp<std::size_t>(2 * l2_bytes / std::max<std::size_t>(bytes, 1) + 1, 2, most));
}

Replay::Replay(int launches, const Enqueue& enqueue, bool warm) : launches_(launches) {
  auto* stream = static_cast<cudaStream_t>(stream_.get());
  if (warm) {
    enqueue(0, stream);
    stream_.wait();
  }
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capturing a graph");
  try {
    for (int launch = 0; launch < launches; ++launch) enqueue(launch, stream);
  } catch (...) {
    cudaGraph_t broken = nullptr;
    cudaStreamEndCapture(stream, &broken);
    if (broken != nullptr) cudaGraphDestroy(broken);
    throw;
  }
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream, &graph), "capturing a graph");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "instantiating a graph");
  graph_ = executable;
  make_events();
  us();
}

Replay::Replay(Eager, int launches, Enqueue enqueue) : launches_(launches), enqueue_(std::move(enqueue)) {
  make_events();
  us();
}

std::unique_ptr<Replay> Replay::eager(int launches, Enqueue enqueue) {
  return std::unique_ptr<Replay>(new Replay(Eager{}, launches, std::move(enqueue)));
}

void Replay::make_events() {
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaEventCreate(&begin), "making an event");
  begin_ = begin;
  check(cudaEventCreate(&end), "making an event");
  end_ = end;
}

Replay::~Replay() {
  if (begin_ != nullptr) cudaEventDestroy(static_cast<cudaEvent_t>(begin_));
  if (end_ != nullptr) cudaEventDestroy(static_cast<cudaEvent_t>(end_));
  if (graph_ != nullptr) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph_));
}

double Replay::us(int replays) {
  auto* stream = static_cast<cudaStream_t>(stream_.get());
  auto* begin = static_cast<cudaEvent_t>(begin_);
  auto* end = static_cast<cudaEvent_t>(end_);
  check(cudaEventRecord(begin, stream), "timing");
  for (int replay = 0; replay < replays; ++replay) {
    if (graph_ != nullptr)
      check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph_), stream), "timing");
    else
      for (int launch = 0; launch < launches_; ++launch) enqueue_(launch, stream);
  }
  check(cudaEventRecord(end, stream), "timing");
  check(cudaEventSynchronize(end), "running kernels");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin, end), "timing");
  last_us_ = 1000.0 * static_cast<double>(milliseconds) / replays;
  return last_us_ / launches_;
}

int Replay::replays_for(double seconds) const {
  constexpr double most = 4096;
  return static_cast<int>(std::clamp(std::ceil(1e6 * seconds / std::max(last_us_, 0.1)), 1.0, most));
}

Times summary(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double share) {
    return samples[static_cast<std::size_t>(share * static_cast<double>(samples.size() - 1) + 0.5)];
  };
  const double median = 0.5 * (samples[(samples.size() - 1) / 2] + samples[samples.size() / 2]);
  return {median, median > 0 ? (at(0.9) - at(0.1)) / median : 0};
}

std::vector<std::size_t> turn_order(std::size_t sides, std::size_t round) {
  std::vector<std::size_t> order(sides);
  for (std::size_t i = 0; i < sides; ++i) order[i] = (round / 2 + i) % sides;
  if (round % 2 == 1) std::reverse(order.begin(), order.end());
  return order;
}

double sample_seconds(std::int64_t tokens) {
  return tokens < 128 ? 0 : tokens < 2048 ? short_sample : long_sample;
}

Turns sampled(double seconds) {
  return {.least = seconds < long_sample ? std::size_t{6} : 2, .burst = seconds, .settle = seconds > 0};
}

std::vector<std::vector<double>> interleave(const std::vector<Replay*>& replays, const Turns& turns) {
  constexpr std::size_t most = 200;
  constexpr double settling = 0.05;
  std::vector<std::vector<double>> samples(replays.size());
  if (turns.settle)
    for (Replay* replay : replays) replay->us(replay->replays_for(std::min(turns.burst, settling)));
  const std::size_t unit = replays.size() > 1 ? 2 : 1;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t round = 0; round < most; ++round) {
    const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (round >= turns.least && round % unit == 0 && spent > turns.seconds) break;
    for (const std::size_t i : turn_order(replays.size(), round))
      samples[i].push_back(replays[i]->us(replays[i]->replays_for(turns.burst)));
  }
  return samples;
}

}  // namespace cross::cuda
