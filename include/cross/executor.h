// Who runs the work: CROSS's threads or the caller's.
#pragma once

#include <functional>
#include <memory>

namespace cross {

/// Runs a function on several workers at once. Implement it to lend CROSS your own threads.
class Executor {
 public:
  virtual ~Executor() = default;
  /// How many workers `run` uses.
  virtual int workers() const = 0;
  /// Calls task(w) once for every w in [0, workers()), possibly at the same time on different threads, and
  /// returns when all have returned. CROSS's tasks do not throw and do not wait for one another.
  virtual void run(const std::function<void(int)>& task) = 0;
};

/// OpenMP's pool (the default): shares its threads with the dense libraries, so neither waits for the other's
/// spinning threads. `threads` 0 means one per core that this process may use.
std::unique_ptr<Executor> make_openmp_executor(int threads = 0);

/// A pool of std::threads that sleep between calls: for programs without OpenMP, and for ThreadSanitizer,
/// which cannot see into OpenMP's runtime.
std::unique_ptr<Executor> make_thread_executor(int threads = 0);

/// Cores that this process may use (affinity respected).
int available_cores();

}  // namespace cross
