#include "cuda/token_memory.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

namespace cross::cuda {
namespace {

std::int64_t squared(std::int64_t tokens) { return tokens * tokens; }

TEST(TokenMemory, FindsOnce) {
  const TokenMemory<std::int64_t> memory;
  int found = 0;
  for (int i = 0; i < 3; ++i)
    for (const std::int64_t tokens : {1, 8, 512})
      EXPECT_EQ(memory.get(tokens, [&](std::int64_t t) { return ++found, squared(t); }), squared(tokens));
  EXPECT_EQ(found, 3);
}

TEST(TokenMemory, HoldsAFewDozen) {
  const TokenMemory<std::int64_t, 48> memory;
  for (std::int64_t tokens = 1; tokens <= 5000; ++tokens) {
    EXPECT_EQ(memory.get(tokens, squared), squared(tokens));
    ASSERT_LE(memory.size(), 48u);
    ASSERT_EQ(memory.get(tokens, [](std::int64_t) { return std::int64_t{-1}; }), squared(tokens));
  }
}

TEST(TokenMemory, KeepsNothingOfWhatThrows) {
  const TokenMemory<std::int64_t> memory;
  EXPECT_THROW(memory.get(7, [](std::int64_t) -> std::int64_t { throw std::runtime_error("no"); }),
               std::runtime_error);
  EXPECT_EQ(memory.size(), 0u);
  EXPECT_EQ(memory.get(7, squared), 49);
}

/// More counts than it holds, by several threads at once: entries come and go while others read them.
TEST(TokenMemory, ServesThreads) {
  const TokenMemory<std::vector<std::int64_t>, 8> memory;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (std::int64_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::int64_t i = 0; i < 20'000; ++i) {
        const std::int64_t tokens = (i * (t + 1)) % 20;
        const auto value = memory.get(tokens, [](std::int64_t n) { return std::vector(3, squared(n)); });
        if (value != std::vector(3, squared(tokens))) ++wrong;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(memory.size(), 8u);
}

}  // namespace
}  // namespace cross::cuda
