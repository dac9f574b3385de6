// Which device a command or call means: "cpu", "cuda", "cuda:1".
#pragma once

#include <string>
#include <string_view>

namespace cross {

struct DeviceId {
  std::string family = "cpu";  ///< "cpu" or "cuda"
  int index = 0;               ///< of the GPU
  bool cuda() const { return family == "cuda"; }
};

/// Reads "cpu", "cuda" or "cuda:INDEX"; UsageError for anything else.
DeviceId parse_device(std::string_view text);

}  // namespace cross
