#include "prune/cutoff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace cross::prune_detail {
namespace {

Cutoff find(const std::vector<Score>& scores, std::uint64_t target) {
  CutoffSearch search(target);
  for (const Score score : scores) search.count_upper(score);
  search.choose_upper();
  for (const Score score : scores) search.count_lower(score);
  return search.finish();
}

TEST(Cutoff, PrunesExactlyTheLowestAndFirstAmongEqual) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<Score> scores(1 + random() % 60);
    // Half of the rounds with few distinct scores, half over the whole range.
    for (Score& score : scores)
      score = round % 2 == 0 ? random() % 5 * 0x7fffu : static_cast<Score>(random());
    const std::size_t target = random() % (scores.size() + 1);

    std::vector<std::size_t> order(scores.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return scores[a] < scores[b]; });
    std::vector<bool> expected(scores.size());
    for (std::size_t i = 0; i < target; ++i) expected[order[i]] = true;

    Cutoff cutoff = find(scores, target);
    for (std::size_t i = 0; i < scores.size(); ++i) EXPECT_EQ(cutoff.prunes(scores[i]), expected[i]);
  }
}

TEST(Cutoff, Edges) {
  Cutoff nothing;
  EXPECT_FALSE(nothing.prunes(0));
  const std::vector<Score> extremes{0xffffffffu, 0u};
  Cutoff all = find(extremes, 2);
  EXPECT_TRUE(all.prunes(0xffffffffu));
  EXPECT_TRUE(all.prunes(0u));
  Cutoff none = find({}, 0);
  EXPECT_FALSE(none.prunes(7));
}

TEST(Scores, OrderLikeMagnitudes) {
  const float rising[] = {0.0f, -0.0f, 1e-45f, -3e-45f, 1e-20f, -1.0f, 1.5f, -3e38f};
  Score before = 0;
  for (const float value : rising) {
    const Score score = element_score(std::bit_cast<std::uint32_t>(value));
    if (value != 0.0f || std::signbit(value)) {
      EXPECT_GT(score, before) << value;
    }
    before = score;
  }
  EXPECT_EQ(element_score(0), 0u);
  EXPECT_GT(element_score(infinity_bits), before);
}

}  // namespace
}  // namespace cross::prune_detail
