// A progress bar on stderr.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace cross::cli {

/// Shows itself only on a terminal, only after a second, and not when `quiet`; gone when destroyed.
class Progress {
 public:
  Progress(std::string label, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `total` steps are finished; `what` is under way.
  void step(std::size_t done, std::size_t total, std::string_view what);

 private:
  void draw();
  std::string line() const;

  const std::string label_;
  const bool active_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable end_;
  bool ended_ = false;
  bool shown_ = false;
  std::size_t done_ = 0, total_ = 0;
  std::string what_;
  std::thread first_;  ///< draws once after a second, so that a long first step is not silent
};

/// work(on_step) with a bar for what it does step by step.
template <class Work>
auto with_progress(std::string label, bool quiet, Work&& work) {
  Progress progress(std::move(label), quiet);
  return work(
      [&](std::size_t done, std::size_t total, std::string_view what) { progress.step(done, total, what); });
}

}  // namespace cross::cli
