// Models compiled for tests, and how far results lie from references.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>
#include <string>

#include "cross/compile.h"

namespace cross::testing {

inline Plan compile_model(const std::filesystem::path& folder, DType dtype = DType::fp32,
                          const std::string& format = "auto") {
  CompileOptions options;
  options.scope = CompileOptions::Scope::model;
  options.dtype = dtype;
  options.format = format;
  options.measure = false;
  options.tokens = {16, 512};
  return compile(Model::load(folder), options);
}

/// Largest difference, over the largest value expected.
inline double relative_error(std::span<const float> got, std::span<const float> expected) {
  EXPECT_EQ(got.size(), expected.size());
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < std::min(got.size(), expected.size()); ++i) {
    error = std::max(error, std::fabs(static_cast<double>(got[i]) - expected[i]));
    largest = std::max(largest, std::fabs(static_cast<double>(expected[i])));
  }
  return error / largest;
}

}  // namespace cross::testing
