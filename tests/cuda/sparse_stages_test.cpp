// The order of a row tile's stages: the warps that bring, gather and multiply each derive it for themselves.
#include "kernels/cuda/prefill/sparse_stages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace cross::kernels::cuda {
namespace {

/// As the bringing lane and the gathering warps go through them: o an own stage, F a further one.
std::string brought(const SparseStages& stages) {
  std::string order;
  for (int i = 0; i <= stages.further; ++i) {
    order.append(static_cast<std::size_t>(stages.own_before(i)), 'o');
    if (i < stages.further) order += 'F';
  }
  return order;
}
/// As the warp groups multiply.
std::string multiplied(const SparseStages& stages) {
  std::string order;
  for (int i = 0;; ++i) {
    for (int pairs = stages.pairs_before(i); pairs > 0; --pairs) order += "oo";
    if (i == stages.mixed) break;
    order += "oF";
  }
  if (stages.odd()) order += 'o';
  order.append(static_cast<std::size_t>(stages.further - stages.mixed), 'F');
  return order;
}

/// All CTAs of a tile.
void check_order(int own, int further, int splits, bool late) {
  int own_before = 0, further_before = 0;
  for (int split = 0; split < splits; ++split) {
    const SparseStages stages(own, further, split, splits, late);
    ASSERT_EQ(stages.first, own_before);
    ASSERT_EQ(stages.further_first, further_before);
    const std::string order = brought(stages);
    ASSERT_EQ(order, multiplied(stages));
    ASSERT_EQ(std::count(order.begin(), order.end(), 'o'), stages.own);
    ASSERT_EQ(std::count(order.begin(), order.end(), 'F'), stages.further);
    own_before += stages.own;
    further_before += stages.further;
  }
  ASSERT_EQ(own_before, own);
  ASSERT_EQ(further_before, further);
}

TEST(SparseStages, EveryStageComesOnceInTheSameOrderForAll) {
  for (int own = 4; own <= 64; own += 2)
    for (int further = 0; further <= 2 * own; ++further)
      for (const int splits : {1, 2, 4})
        for (const bool late : {false, true}) {
          SCOPED_TRACE(testing::Message()
                       << own << " + " << further << " in " << splits << (late ? ", late" : ""));
          ASSERT_NO_FATAL_FAILURE(check_order(own, further, splits, late));
        }
}

TEST(SparseStages, FurtherOnesStandEvenlyApart) {
  EXPECT_EQ(brought({8, 0, 0, 1}), "oooooooo");
  EXPECT_EQ(brought({12, 2, 0, 1}), "oooooFoooooFoo");
  EXPECT_EQ(brought({2, 3, 0, 1}), "oFoFF");
  EXPECT_EQ(brought({12, 2, 1, 2}), "oooFooo");
}

TEST(SparseStages, LateOnesStandInTheSecondHalf) {
  EXPECT_EQ(brought({8, 0, 0, 1, true}), "oooooooo");
  EXPECT_EQ(brought({16, 1, 0, 1, true}), "oooooooooooFooooo");
  EXPECT_EQ(brought({12, 2, 0, 1, true}), "oooooooFoooFoo");
  EXPECT_EQ(brought({2, 3, 0, 1, true}), "oFoFF");
}

}  // namespace
}  // namespace cross::kernels::cuda
