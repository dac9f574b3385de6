// The real all-MiniLM-L6-v2 against the reference framework's embeddings of examples/sentences.txt.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "cross/compile.h"
#include "cross/encoder.h"
#include "io/npy.h"
#include "model/fixtures.h"

namespace cross {
namespace {

/// The least cosine between an embedding and the reference's.
double least_cosine(DType dtype, const std::string& format) {
  CompileOptions options;
  options.scope = CompileOptions::Scope::model;
  options.dtype = dtype;
  options.format = format;
  options.measure = false;
  options.tokens = {512};
  const Plan plan = compile(Model::load(testing::minilm_folder()), options);
  const auto executor = make_openmp_executor();
  Encoder encoder(plan, *executor);
  std::vector<std::string> texts;
  std::ifstream file(CROSS_SOURCE_DIR "/examples/sentences.txt");
  for (std::string line; std::getline(file, line);) texts.push_back(line);
  const std::vector<float> got = encoder.embed(texts);
  const io::FloatMatrix expected = io::read_npy(testing::fixture("minilm.npy"));
  EXPECT_EQ(static_cast<std::size_t>(expected.rows), texts.size());
  double least = 1;
  for (std::int64_t s = 0; s < expected.rows; ++s) {
    double ab = 0, aa = 0, bb = 0;
    for (std::int64_t i = s * expected.cols; i < (s + 1) * expected.cols; ++i) {
      const double a = got[static_cast<std::size_t>(i)], b = expected.values[static_cast<std::size_t>(i)];
      ab += a * b;
      aa += a * a;
      bb += b * b;
    }
    least = std::min(least, ab / std::sqrt(aa * bb));
  }
  return least;
}

class MiniLm : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::minilm_folder().empty())
      GTEST_SKIP() << "all-MiniLM-L6-v2 is not in models/ (quickstart.sh downloads it)";
  }
};

TEST_F(MiniLm, gives_the_reference_embeddings_in_fp32) {
  EXPECT_GE(least_cosine(DType::fp32, "dense"), 0.99999);
  EXPECT_GE(least_cosine(DType::fp32, "index8"), 0.99999);
}

TEST_F(MiniLm, gives_the_reference_embeddings_in_bf16) {
  EXPECT_GE(least_cosine(DType::bf16, "dense"), 0.9995);
  EXPECT_GE(least_cosine(DType::bf16, "index8"), 0.9995);
}

}  // namespace
}  // namespace cross
