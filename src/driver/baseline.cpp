#include "driver/baseline.h"

#include <fmt/format.h>

#include "cross/error.h"

namespace cross::driver {

std::vector<kernels::DenseLibrary> baseline_libraries(const std::string& baseline) {
  if (baseline == "best") {
    const auto all = kernels::require_dense_libraries();
    return {all.begin(), all.end()};
  }
  const auto library = kernels::dense_library_from_name(baseline);
  if (!library)
    throw UsageError(fmt::format("baseline \"{}\" is unknown; it can be best, onednn or openblas", baseline));
  for (const auto present : kernels::dense_libraries())
    if (present == *library) return {*library};
  throw DeviceError(fmt::format("this build has no {}; rebuild with it or use --baseline best", baseline));
}

}  // namespace cross::driver
