// Memory of the GPU, and memory of the host that it can copy from quickly. All of it is freed with its owner.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace cross::cuda {

/// Bytes on the current GPU, aligned to 256. Contents are unspecified.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  /// DeviceError with the sizes if the GPU has too little free memory; `what` names the buffer in it.
  DeviceBuffer(std::size_t bytes, std::string_view what);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;

  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }
  /// Copies to or from the buffer, from `offset` on, and waits.
  void upload(std::span<const std::byte> bytes, std::size_t offset = 0) const;
  void download(std::span<std::byte> bytes, std::size_t offset = 0) const;
  void fill(unsigned char value) const;
  /// Copies the first `period` bytes over all the rest, again and again, and waits.
  void repeat(std::size_t period) const;

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Bytes that the current GPU has left.
std::size_t free_bytes();

/// Page-locked memory of the host.
class PinnedBuffer {
 public:
  explicit PinnedBuffer(std::size_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;

  std::span<std::byte> bytes() const { return {data_, bytes_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// A stream of its own on the current GPU.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  void* get() const { return stream_; }
  void wait() const;  ///< for all that was enqueued

 private:
  void* stream_ = nullptr;
};

}  // namespace cross::cuda
