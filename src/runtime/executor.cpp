#include "cross/executor.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace cross {
namespace {

class OpenMpExecutor final : public Executor {
 public:
  explicit OpenMpExecutor(int threads) : threads_(threads) {}
  int workers() const override { return threads_; }
  void run(const std::function<void(int)>& task) override {
    if (threads_ == 1) return task(0);
#pragma omp parallel num_threads(threads_)
    {
      // Inside another parallel region OpenMP may give fewer threads than asked for: every worker's task
      // still runs.
      const int team = omp_get_num_threads();
      for (int worker = omp_get_thread_num(); worker < threads_; worker += team) task(worker);
    }
  }

 private:
  int threads_;
};

class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(int threads) : threads_(threads) {
    for (int worker = 1; worker < threads; ++worker)
      pool_.emplace_back([this, worker](const std::stop_token& stop) { serve(worker, stop); });
  }
  ~ThreadExecutor() override {
    for (std::jthread& thread : pool_) thread.request_stop();
    {
      const std::lock_guard lock(mutex_);
      ++round_;
      task_ = nullptr;
    }
    wake_.notify_all();
  }
  int workers() const override { return threads_; }
  void run(const std::function<void(int)>& task) override {
    {
      const std::lock_guard lock(mutex_);
      task_ = &task;
      busy_ = threads_ - 1;
      ++round_;
    }
    wake_.notify_all();
    task(0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void serve(int worker, const std::stop_token& stop) {
    long seen = 0;
    for (;;) {
      const std::function<void(int)>* task;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return round_ != seen; });
        seen = round_;
        task = task_;
      }
      if (stop.stop_requested() || task == nullptr) return;
      (*task)(worker);
      {
        const std::lock_guard lock(mutex_);
        --busy_;
      }
      done_.notify_one();
    }
  }

  int threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(int)>* task_ = nullptr;
  long round_ = 0;
  int busy_ = 0;
  std::vector<std::jthread> pool_;  // last: joined before the members it uses go
};

}  // namespace

int available_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::unique_ptr<Executor> make_openmp_executor(int threads) {
  return std::make_unique<OpenMpExecutor>(threads > 0 ? threads : available_cores());
}

std::unique_ptr<Executor> make_thread_executor(int threads) {
  return std::make_unique<ThreadExecutor>(threads > 0 ? threads : available_cores());
}

}  // namespace cross
