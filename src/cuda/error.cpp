#include "cuda/error.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "cross/error.h"

namespace cross::cuda {

void check(int status, std::string_view what) {
  if (status == cudaSuccess) return;
  const auto error = static_cast<cudaError_t>(status);
  // Errors that are not of the context itself would otherwise come back from the next launch that asks.
  cudaGetLastError();
  const std::string text =
      fmt::format("{} ({}) while {}", cudaGetErrorString(error), cudaGetErrorName(error), what);
  if (error == cudaErrorMemoryAllocation) throw DeviceError("the GPU has too little free memory: " + text);
  if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorInsufficientDriver ||
      error == cudaErrorNoDevice || error == cudaErrorDevicesUnavailable)
    throw DeviceError("the GPU cannot be used: " + text);
  throw InternalError("CUDA: " + text);
}

void check_library(int status, std::string_view what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const auto error = static_cast<cublasStatus_t>(status);
  const std::string text = fmt::format("{} while {}", cublasLtGetStatusString(error), what);
  if (error == CUBLAS_STATUS_ALLOC_FAILED) throw DeviceError("cuBLASLt: too little memory: " + text);
  throw InternalError("cuBLASLt: " + text);
}

}  // namespace cross::cuda
