// Prices between and beyond what was measured.
#include "cross/profile.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "cross/error.h"
#include "cross/format.h"
#include "driver/shipped_profiles.h"
#include "kernels/isa.h"
#include "kernels/table.h"
#include "plan/formats/gpu/packed.h"
#include "refusal.h"

namespace cross {
namespace {

/// A curve whose price is ns per element at every density.
PriceCurve flat(std::string kernel, std::int64_t tokens, std::int64_t rows, std::int64_t cols, double ns) {
  return {std::move(kernel), "mma", tokens, rows, cols, {{1.0, ns, 0}}};
}

TEST(Profile, PricesWithoutASizeGrowWithTheElements) {
  CostProfile profile;
  profile.curves = {flat("k", 1, 0, 0, 0.5), flat("k", 3, 0, 0, 1.5)};
  EXPECT_DOUBLE_EQ(profile.price("k", "mma", 1, 2).value(), 1.0);
  EXPECT_DOUBLE_EQ(profile.time_us("k", "mma", 1, 1, 1000, 10).value(), 5.0);
  EXPECT_FALSE(profile.time_us("other", "mma", 1, 1, 10, 10));
}

/// t = 2 µs at 100 x 100, and elsewhere what the last slope says.
TEST(Profile, PricesOfAGridOfSizes) {
  CostProfile profile;
  const auto us = [&](double rows, double cols, double time) {
    return flat("k", 1, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(cols),
                1000 * time / (rows * cols));
  };
  profile.curves = {us(100, 100, 2), us(400, 100, 4), us(100, 400, 2), us(400, 400, 8)};
  const auto time = [&](std::int64_t rows, std::int64_t cols) {
    return profile.time_us("k", "mma", 1, 1, rows, cols).value();
  };
  EXPECT_NEAR(time(100, 100), 2, 1e-9);
  EXPECT_NEAR(time(400, 400), 8, 1e-9);
  EXPECT_NEAR(time(250, 100), 3, 1e-9);
  EXPECT_NEAR(time(250, 250), 4, 1e-9);
  EXPECT_NEAR(time(10, 20), 2, 1e-9) << "below the least size: as there";
  EXPECT_NEAR(time(700, 400), 14, 1e-9) << "above the largest: along the last slope";
  EXPECT_FALSE(profile.price("k", "mma", 1, 1)) << "no price holds for any size";
}

TEST(Profile, SizesSurviveTheFile) {
  CostProfile profile;
  profile.key = {"cuda", "GPU", "sm90", 132, 1, "cublaslt 13"};
  profile.source = "a test";
  profile.curves = {flat("k", 1, 512, 2048, 0.25), flat("c", 1, 0, 0, 0.5)};
  const auto path = std::filesystem::temp_directory_path() / "cross-profile-test" / "p.json";
  profile.save(path);
  const CostProfile loaded = CostProfile::load(path);
  std::filesystem::remove_all(path.parent_path());
  ASSERT_EQ(loaded.curves.size(), 2u);
  EXPECT_EQ(loaded.curves[0].rows, 512);
  EXPECT_EQ(loaded.curves[0].cols, 2048);
  EXPECT_EQ(loaded.curves[1].rows, 0);
  EXPECT_EQ(loaded.key, profile.key);
}

TEST(Profile, UnitPricesSurviveTheFile) {
  CostProfile profile;
  profile.key = {"cuda", "GPU", "sm90", 132, 1, "cublaslt 13"};
  profile.units = {768, 5.8, 1200, 3000, 1.25, 2};
  const auto path = std::filesystem::temp_directory_path() / "cross-profile-test" / "units.json";
  profile.save(path);
  const CostProfile loaded = CostProfile::load(path);
  ASSERT_TRUE(loaded.units);
  EXPECT_EQ(loaded.units->gather_weight, 5.8);
  EXPECT_EQ(loaded.units->piece, 3000);
  EXPECT_EQ(loaded.units->dense_slowdown, 1.25);
  std::filesystem::remove_all(path.parent_path());
}

TEST(Profile, AUnitCannotBeFasterBesideTheOther) {
  const auto with = [](const std::string& units) {
    return R"({"cross_profile": 1, "source": "", "curves": [], "key": {"device": "cuda", "name": "", "isa": "",
               "threads": 1, "kernel_table": 1, "libraries": ""}, "units": )" +
           units + "}";
  };
  testing::expect_refused<InputError>(
      [&] {
        CostProfile::parse(with(R"({"tensor_half": 1, "gather_weight": 1, "gather_chunk": 1, "piece": 1,
                                   "dense_slowdown": 0.5, "sparse_slowdown": 1})"),
                           "p.json");
      },
      {"p.json", "units", "dense_slowdown", "0.5", "at least 1"});
  testing::expect_refused<InputError>([&] { CostProfile::parse(with(R"({"tensor_half": 1})"), "p.json"); },
                                      {"p.json", "gather_weight", "missing"});
}

TEST(Profile, HalfASizeIsRefused) {
  const std::string text =
      R"({"cross_profile":1,"key":{"device":"cuda","name":"n","isa":"sm90","threads":1,"kernel_table":1,)"
      R"("libraries":""},"source":"s","curves":[{"kernel":"k","arithmetic":"mma","tokens":1,"rows":0,"cols":5,)"
      R"("points":[[1,1,0]]}]})";
  testing::expect_refused<InputError>([&] { CostProfile::parse(text, "p.json"); }, {"p.json", "rows"});
}

/// A GPU that was never calibrated is priced as the nearest that was, in every format there is.
TEST(Profile, AShippedProfilePricesEveryGpuFormat) {
  const CostProfile profile = driver::shipped_profile({"cuda", "NVIDIA H200", "sm90", 132, 1, "cublaslt 13"});
  EXPECT_NE(profile.source.find("shipped default, measured on"), std::string::npos) << profile.source;
  for (const Format format : gpu_formats)
    EXPECT_TRUE(profile.time_us(std::string(name_of(format)) + ".decode",
                                formats::gpu::holds(format, DType::fp32) ? "fp32" : "mma", 0.3, 1, 4096,
                                4096))
        << name_of(format);
  EXPECT_TRUE(profile.time_us("dense.cublaslt", "mma", 1, 100, 4096, 4096));
  EXPECT_TRUE(profile.time_us("dense.cublaslt", "fp32", 1, 1, 768, 768));
}

/// A CPU that was never calibrated can price everything it runs, whatever its ISA: a missing curve would
/// leave blocks that no kernel can run.
TEST(Profile, ShippedProfilesPriceEveryCpuKernel) {
  for (const auto isa :
       {kernels::Isa::scalar, kernels::Isa::avx2, kernels::Isa::avx512, kernels::Isa::avx512_bf16}) {
    const CostProfile profile = driver::shipped_profile(
        {"cpu", "some CPU", std::string(name_of(isa)), 2, kernels::table_version, ""});
    for (const DType dtype : {DType::fp32, DType::bf16}) {
      const auto arithmetic = kernels::arithmetic_for(dtype, isa);
      for (const kernels::Kernel* kernel : kernels::kernels_for(arithmetic, isa))
        EXPECT_TRUE(profile.price(fmt::format("{}.{}", name_of(kernel->format), kernel->shape),
                                  name_of(arithmetic), 0.3, 1))
            << kernel->id() << " by the profile of " << profile.key.text();
      if (arithmetic != kernels::Arithmetic::bf16_pair) continue;
      for (const char* shape : {"index8.tile", "index8.dot"})
        EXPECT_TRUE(profile.price(shape, name_of(kernels::Arithmetic::bf16_widened), 0.3, 1)) << shape;
    }
  }
}

}  // namespace
}  // namespace cross
