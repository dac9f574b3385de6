// calibrate: measures every kernel of this machine.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "cross/profile.h"

namespace cross {

struct CalibrateOptions {
  int threads = 0;             ///< 0: one per core
  std::string device = "cpu";  ///< "cpu", "cuda" or "cuda:1"
  bool quick = false;          ///< few points: for tests and first looks, not for decisions
  /// Called before each measured group with its number, the count of groups and the kernel's name.
  std::function<void(std::size_t, std::size_t, std::string_view)> on_step;
};

/// Times every kernel and dense library over density × token count × dtype on a 1024 × 1024 matrix whose
/// weights come from memory, all threads working. Takes one to two minutes; the machine should be idle. The
/// result is not stored: save it to profile_folder() / key.file_name() for `compile` to find it.
CostProfile calibrate(const CalibrateOptions& options = {});

}  // namespace cross
