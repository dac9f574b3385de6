// Both pools call every worker once per run, whatever surrounds them.
#include "cross/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "runtime/run_layer.h"

namespace cross {
namespace {

using Factory = std::unique_ptr<Executor> (*)(int);

struct Pool {
  std::string name;
  Factory make;
};

std::vector<Pool> pools() {
  std::vector<Pool> all = {{"threads", make_thread_executor}};
  all.push_back({"openmp", make_openmp_executor});
  return all;
}

class EveryPool : public ::testing::TestWithParam<Pool> {};

TEST_P(EveryPool, calls_every_worker_once) {
  for (const int workers : {1, 2, 3, 8}) {
    const auto executor = GetParam().make(workers);
    ASSERT_EQ(executor->workers(), workers);
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(workers));
    for (int round = 1; round <= 200; ++round) {
      executor->run([&](int worker) { ++calls.at(static_cast<std::size_t>(worker)); });
      for (const auto& count : calls) ASSERT_EQ(count, round) << workers << " workers";
    }
  }
}

TEST_P(EveryPool, returns_when_the_slowest_is_done) {
  const auto executor = GetParam().make(3);
  std::atomic<int> done = 0;
  executor->run([&](int worker) {
    if (worker == 2) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    ++done;
  });
  EXPECT_EQ(done, 3);
}

TEST_P(EveryPool, what_one_run_writes_the_next_sees) {
  const auto executor = GetParam().make(2);
  // Plain integers: run itself is the synchronisation. Each worker takes what the other one wrote last time.
  int values[2][2] = {};
  for (int round = 1; round <= 100; ++round)
    executor->run([&](int worker) { values[round % 2][worker] = values[1 - round % 2][1 - worker] + 1; });
  EXPECT_EQ(values[0][0], 100);
  EXPECT_EQ(values[0][1], 100);
}

TEST_P(EveryPool, is_made_and_ended_without_running) {
  for (int i = 0; i < 50; ++i) GetParam().make(1 + i % 4);
}

TEST_P(EveryPool, of_no_stated_size_has_one_worker_per_core) {
  EXPECT_EQ(GetParam().make(0)->workers(), available_cores());
  EXPECT_GE(available_cores(), 1);
}

TEST_P(EveryPool, of_several_may_run_side_by_side) {
  const auto first = GetParam().make(2);
  const auto second = GetParam().make(3);
  std::atomic<int> calls = 0;
  std::thread other([&] {
    for (int i = 0; i < 50; ++i) first->run([&](int) { ++calls; });
  });
  for (int i = 0; i < 50; ++i) second->run([&](int) { ++calls; });
  other.join();
  EXPECT_EQ(calls, 250);
}

INSTANTIATE_TEST_SUITE_P(Pools, EveryPool, ::testing::ValuesIn(pools()),
                         [](const auto& pool) { return pool.param.name; });

TEST(OpenMpExecutor, inside_a_parallel_region_runs_every_worker) {
  // OpenMP then gives a single thread: the tasks run one after the other.
  const auto executor = make_openmp_executor(4);
  std::atomic<int> calls = 0;
#pragma omp parallel num_threads(2)
  executor->run([&](int) { ++calls; });
  EXPECT_EQ(calls % 4, 0);
  EXPECT_GE(calls, 4);
}

}  // namespace
}  // namespace cross
