// Tests that need a GPU: skipped, with the reason, on machines without one.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "cross/cuda.h"
#include "cuda/device.h"

namespace cross::testing {

/// What ctest looks for to call a program skipped (CMakeLists.txt).
inline constexpr const char* no_gpu = "CROSS: no GPU here";

/// The first GPU, described once; nullptr without one.
inline const cuda::DeviceInfo* first_gpu() {
  static const std::vector<cuda::DeviceInfo> all = cuda::devices();
  return all.empty() ? nullptr : all.data();
}

/// A fixture whose tests run with the first GPU as the current one.
template <class Base>
class OnGpu : public Base {
 protected:
  void SetUp() override {
    if (first_gpu() == nullptr) GTEST_SKIP() << no_gpu;
    current_.emplace(first_gpu()->index);
  }
  const cuda::DeviceInfo& gpu() const { return *first_gpu(); }

 private:
  std::optional<cuda::CurrentDevice> current_;
};

using GpuTest = OnGpu<::testing::Test>;

}  // namespace cross::testing
