// Which GPUs there are; the public part is cross/cuda.h.
#pragma once

#include "cross/cuda.h"

namespace cross::cuda {

/// Makes a GPU the calling thread's current one, and the former one again when destroyed.
class CurrentDevice {
 public:
  explicit CurrentDevice(int index);
  ~CurrentDevice();
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

 private:
  int former_ = 0;
};

}  // namespace cross::cuda
