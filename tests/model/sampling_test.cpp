// Which token comes next.
#include "cross/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "refusal.h"

namespace cross {
namespace {

/// How often each token is drawn.
std::map<std::int32_t, int> draws(const SamplingOptions& options, const std::vector<float>& logits,
                                  int count) {
  Sampler sampler(options);
  std::map<std::int32_t, int> result;
  for (int i = 0; i < count; ++i) ++result[sampler.next(logits)];
  return result;
}

const std::vector<float> five = {std::log(0.1f), std::log(0.4f), std::log(0.2f), std::log(0.05f),
                                 std::log(0.25f)};

TEST(Sampler, takes_the_likeliest_without_temperature) {
  EXPECT_EQ(draws({}, five, 10), (std::map<std::int32_t, int>{{1, 10}}));
  EXPECT_EQ(draws({}, {1, 3, 3, 2}, 2), (std::map<std::int32_t, int>{{1, 2}}));  // the first of equals
  EXPECT_EQ(draws({.top_k = 3, .top_p = 0.5, .seed = 9}, five, 2).size(), 1u);
}

TEST(Sampler, draws_by_chance) {
  const auto drawn = draws({.temperature = 1, .seed = 5}, five, 20000);
  const double expected[] = {0.1, 0.4, 0.2, 0.05, 0.25};
  for (std::int32_t id = 0; id < 5; ++id) EXPECT_NEAR(drawn.at(id) / 20000.0, expected[id], 0.02) << id;
}

TEST(Sampler, sharpens_with_a_low_temperature) {
  const auto drawn = draws({.temperature = 0.5, .seed = 5}, five, 20000);
  const double sum = 0.01 + 0.16 + 0.04 + 0.0025 + 0.0625;
  EXPECT_NEAR(drawn.at(1) / 20000.0, 0.16 / sum, 0.02);
  EXPECT_EQ(draws({.temperature = 1e-6}, five, 100).size(), 1u);
}

TEST(Sampler, keeps_the_likeliest_k) {
  const auto drawn = draws({.temperature = 1, .top_k = 2, .seed = 1}, five, 20000);
  EXPECT_EQ(drawn.size(), 2u);
  EXPECT_NEAR(drawn.at(1) / 20000.0, 0.4 / 0.65, 0.02);
  EXPECT_EQ(draws({.temperature = 1, .top_k = 1}, five, 50).size(), 1u);
  EXPECT_EQ(draws({.temperature = 1, .top_k = 99}, five, 5000).size(), 5u);
  EXPECT_EQ(draws({.temperature = 1, .top_k = 2}, {1, 1, 1, 1}, 500).size(), 2u);  // equals: the first ids
  EXPECT_TRUE(draws({.temperature = 1, .top_k = 2}, {1, 1, 1, 1}, 500).contains(0));
}

TEST(Sampler, keeps_the_fewest_that_have_the_share) {
  EXPECT_EQ(draws({.temperature = 1, .top_p = 0.39}, five, 500).size(), 1u);
  EXPECT_EQ(draws({.temperature = 1, .top_p = 0.41}, five, 500).size(), 2u);
  EXPECT_EQ(draws({.temperature = 1, .top_p = 0.66}, five, 500).size(), 3u);
  EXPECT_EQ(draws({.temperature = 1, .top_p = 1e-9}, five, 500).size(), 1u);
}

TEST(Sampler, takes_the_share_of_what_top_k_left) {
  // 0.4 of 0.65 are 62 %.
  EXPECT_EQ(draws({.temperature = 1, .top_k = 2, .top_p = 0.6}, five, 500).size(), 1u);
  EXPECT_EQ(draws({.temperature = 1, .top_k = 2, .top_p = 0.63}, five, 500).size(), 2u);
}

TEST(Sampler, keeps_as_many_of_a_large_vocabulary_as_it_takes) {
  const std::vector<float> level(50000, 0.5f);
  Sampler sampler({.temperature = 1, .top_p = 0.9, .seed = 3});
  int behind = 0;
  for (int i = 0; i < 50; ++i) {
    const std::int32_t id = sampler.next(level);
    EXPECT_LE(id, 45001);
    behind += id > 22500;
  }
  EXPECT_GT(behind, 10);
}

TEST(Sampler, draws_the_same_with_the_same_seed) {
  const auto ids = [](std::uint64_t seed) {
    Sampler sampler({.temperature = 1, .top_k = 4, .top_p = 0.95, .seed = seed});
    std::vector<std::int32_t> result;
    for (int i = 0; i < 40; ++i) result.push_back(sampler.next(five));
    return result;
  };
  EXPECT_EQ(ids(7), ids(7));
  EXPECT_NE(ids(7), ids(8));
}

TEST(Sampler, never_draws_what_has_no_chance) {
  const float never = -std::numeric_limits<float>::infinity();
  const auto drawn = draws({.temperature = 1}, {never, 0, never, 0, never}, 500);
  EXPECT_EQ(drawn.size(), 2u);
  EXPECT_FALSE(drawn.contains(0) || drawn.contains(4));
}

TEST(Sampler, refuses_what_makes_no_sense) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto refused = [](const SamplingOptions& options, const std::vector<std::string>& words) {
    testing::expect_refused<UsageError>([&] { Sampler sampler(options); }, words);
  };
  refused({.temperature = -1}, {"temperature of -1"});
  refused({.temperature = nan}, {"temperature"});
  refused({.temperature = 1, .top_k = -1}, {"top-k of -1"});
  refused({.temperature = 1, .top_p = 0}, {"top-p of 0"});
  refused({.temperature = 1, .top_p = 1.5}, {"top-p of 1.5"});
  refused({.temperature = 1, .top_p = nan}, {"top-p"});
  Sampler sampler({});
  const auto scores = [&](std::vector<float> logits) {
    testing::expect_refused<InputError>([&] { sampler.next(logits); }, {"not numbers"});
  };
  scores({1, static_cast<float>(nan)});
  scores({static_cast<float>(nan), 1});
  scores({-std::numeric_limits<float>::infinity()});
  scores({0, std::numeric_limits<float>::infinity()});
  scores({});
}

}  // namespace
}  // namespace cross
