#include "cuda/memory.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cross/error.h"
#include "cuda/error.h"

namespace cross::cuda {

DeviceBuffer::DeviceBuffer(std::size_t bytes, std::string_view what) : bytes_(bytes) {
  if (bytes == 0) return;
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    throw DeviceError(
        fmt::format("the GPU has too little free memory for {}: {:.1f} MB needed, {:.1f} of {:.1f} MB free",
                    what, static_cast<double>(bytes) * 1e-6, static_cast<double>(free) * 1e-6,
                    static_cast<double>(total) * 1e-6));
  }
  check(status, fmt::format("allocating {}", what));
  data_ = static_cast<std::byte*>(memory);
}

DeviceBuffer::~DeviceBuffer() { cudaFree(data_); }

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void DeviceBuffer::upload(std::span<const std::byte> bytes, std::size_t offset) const {
  if (offset > bytes_ || bytes.size() > bytes_ - offset)
    throw InternalError("upload: larger than its buffer");
  if (bytes.empty()) return;
  check(cudaMemcpy(data_ + offset, bytes.data(), bytes.size(), cudaMemcpyHostToDevice), "copying to the GPU");
  // The copy may return with its last part on the way; streams of their own do not wait for it.
  check(cudaStreamSynchronize(nullptr), "copying to the GPU");
}

void DeviceBuffer::download(std::span<std::byte> bytes, std::size_t offset) const {
  if (offset > bytes_ || bytes.size() > bytes_ - offset)
    throw InternalError("download: larger than its buffer");
  if (!bytes.empty())
    check(cudaMemcpy(bytes.data(), data_ + offset, bytes.size(), cudaMemcpyDeviceToHost),
          "copying from the GPU");
}

void DeviceBuffer::fill(unsigned char value) const {
  if (bytes_ == 0) return;
  check(cudaMemset(data_, value, bytes_), "filling memory of the GPU");
  check(cudaStreamSynchronize(nullptr), "filling memory of the GPU");
}

void DeviceBuffer::repeat(std::size_t period) const {
  if (period == 0 || period >= bytes_) return;
  // What is there already doubles with every copy.
  for (std::size_t done = period; done < bytes_; done *= 2)
    check(cudaMemcpyAsync(data_ + done, data_, std::min(done, bytes_ - done), cudaMemcpyDeviceToDevice,
                          nullptr),
          "copying on the GPU");
  check(cudaStreamSynchronize(nullptr), "copying on the GPU");
}

std::size_t free_bytes() {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free memory");
  return free;
}

PinnedBuffer::PinnedBuffer(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  void* memory = nullptr;
  const cudaError_t status = cudaMallocHost(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw DeviceError(
        fmt::format("the host has too little memory to lock {:.1f} MB", static_cast<double>(bytes) * 1e-6));
  }
  check(status, "locking memory of the host");
  data_ = static_cast<std::byte*>(memory);
}

PinnedBuffer::~PinnedBuffer() {
  if (data_ != nullptr) cudaFreeHost(data_);
}

Stream::Stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  stream_ = stream;
}

Stream::~Stream() { cudaStreamDestroy(static_cast<cudaStream_t>(stream_)); }

void Stream::wait() const {
  check(cudaStreamSynchronize(static_cast<cudaStream_t>(stream_)), "waiting for the GPU");
}

}  // namespace cross::cuda
