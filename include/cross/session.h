// Executes a plan's layers on the caller's buffers and threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "cross/epilogue.h"
#include "cross/executor.h"
#include "cross/plan.h"

namespace cross {

/// One call of one layer: y = activation(x·Wᵀ + bias) + residual, all in the plan's dtype, row-major,
/// contiguous. x and y must not overlap; residual may be y.
struct RunArgs {
  const void* x = nullptr;         ///< [tokens, cols]
  void* y = nullptr;               ///< [tokens, rows]
  std::int64_t tokens = 0;         ///< any count ≥ 0
  const void* residual = nullptr;  ///< [tokens, rows], or nullptr
  Activation activation = Activation::none;
  bool bias = true;                     ///< add the layer's bias, if it has one
  std::span<std::byte> workspace = {};  ///< at least workspace_bytes(layer, tokens) bytes, 64-byte aligned
};

/// A plan made ready to run: kernels chosen for this CPU, dense layers handed to their library.
///
/// Numerics: products are accumulated in fp32. A pruned position contributes nothing, even where x is Inf or
/// NaN: such calls are detected while x is packed and take a slower exact path. Results are bitwise
/// reproducible for the same plan, machine and token count, whatever the number of workers, except in layers
/// that run through a dense library, which keeps its own promises.
///
/// Threads: one run at a time per Session; several Sessions may share a Plan.
class Session {
 public:
  /// `plan` and `executor` must outlive the session. DeviceError if this CPU or build cannot run the plan.
  Session(const Plan& plan, Executor& executor);
  ~Session();
  Session(Session&&) noexcept;

  std::size_t workspace_bytes(std::size_t layer, std::int64_t tokens) const;
  /// Packed sparse layers do not allocate. UsageError for a layer index or workspace that does not fit.
  void run(std::size_t layer, const RunArgs& args);

  std::size_t chain_workspace_bytes(std::size_t first, std::size_t second, std::int64_t tokens) const;
  /// Two layers, the second on what the first gives: `between` is the first one's activation, the rest of
  /// `args` concerns the whole (x of the first, y, residual and activation of the second, biases of both).
  /// The same as two runs, bit for bit, except that where both layers share out tokens (policy "by_token")
  /// what stands between them never leaves the caches. UsageError as for `run`, and unless second.cols ==
  /// first.rows.
  void run_chain(std::size_t first, std::size_t second, Activation between, const RunArgs& args);

  /// Seconds that each worker spent computing in the last run (packing of x not included): measured balance.
  std::span<const double> worker_seconds() const;
  /// Collecting worker_seconds costs two clock reads per worker and run; off by default.
  void measure_workers(bool on);

  /// The bytes of weights that `run(layer, tokens)` reads, so that a benchmark can drop them from the caches.
  std::span<const std::byte> weights(std::size_t layer, std::int64_t tokens);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cross
