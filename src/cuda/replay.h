// Timing on the GPU: CUDA graphs of many launches, replayed between two events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cuda/memory.h"

namespace cross::cuda {

/// Enqueues launch `i` on a stream.
using Enqueue = std::function<void(int launch, void* stream)>;

/// Copies of `bytes` bytes to rotate so that none is in the cache when its turn comes again: more than twice
/// the cache all together, at least two.
int copies_beyond_cache(std::size_t bytes, std::size_t l2_bytes);

/// `launches` calls of `enqueue`, captured into a graph.
class Replay {
 public:
  /// @param warm call `enqueue` once outside the graph first: what it loads then is not captured
  Replay(int launches, const Enqueue& enqueue, bool warm = true);
  /// For what cannot be captured: enqueues anew at every replay, so that the host's time shows where products
  /// take less than about 10 µs. `enqueue` and what it refers to must outlive the replay.
  static std::unique_ptr<Replay> eager(int launches, Enqueue enqueue);
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  /// Replays so many times in a row and waits; µs per launch.
  double us(int replays = 1);
  /// Replays that last `seconds` together, judged by the last one.
  int replays_for(double seconds) const;

 private:
  struct Eager {};
  Replay(Eager, int launches, Enqueue enqueue);
  void make_events();

  int launches_;
  Enqueue enqueue_;  ///< only without a graph
  Stream stream_;
  double last_us_ = 0;  ///< of a whole replay
  void* graph_ = nullptr;
  void* begin_ = nullptr;
  void* end_ = nullptr;
};

struct Times {
  double median_us = 0;
  double spread = 0;  ///< (p90 − p10) / median
};

/// Median (of an even number the mean of the two in the middle) and spread of samples.
Times summary(std::vector<double> samples);

/// Who runs when in a round: every odd round is the one before it in reverse, and every two rounds another
/// side begins. So after an even number of rounds nobody has run earlier in a round than another, in the
/// mean.
std::vector<std::size_t> turn_order(std::size_t sides, std::size_t round);

/// How long sides take turns.
struct Turns {
  double seconds = 0;     ///< goes on for so long, at most 200 rounds
  std::size_t least = 6;  ///< rounds; made even where there are several sides
  /// Seconds that one sample lasts at least: where power limits the clocks, they settle at what one side
  /// alone would get.
  double burst = 0;
  bool settle = false;  ///< a round more, of bursts of at most 50 ms, before the others; not counted
};

/// Seconds that one sample of a product at `tokens` should last; 0: one replay is enough. From 128 tokens on
/// power may bound the clock. From 2048 on it does, on every side (H100, H200), and in short turns one runs
/// on what its neighbours have spared: samples are long enough for each to pay for its own.
double sample_seconds(std::int64_t tokens);
inline constexpr double short_sample = 0.02, long_sample = 0.2;

/// Turns of samples of so many seconds: six rounds, of long samples two, one in either order.
Turns sampled(double seconds);

/// Replays one after the other, round by round, so that a change of the GPU's clocks meets all of them:
/// samples per replay, in µs per launch. What ran before a sample is felt in it, so the order changes from
/// round to round (`turn_order`).
std::vector<std::vector<double>> interleave(const std::vector<Replay*>& replays, const Turns& turns);

}  // namespace cross::cuda
