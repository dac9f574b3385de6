// Begins a header, and puts it and aligned arrays into one blob.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "cross/format.h"
#include "cross/matrix.h"

namespace cross::compiler {

/// What every header of a GPU format begins with.
template <class Header>
Header begin_header(Format format, const MatrixView& weight) {
  Header header;
  header.format = static_cast<std::uint32_t>(format);
  header.bytes = sizeof header;
  header.rows = static_cast<std::int32_t>(weight.rows);
  header.cols = static_cast<std::int32_t>(weight.cols);
  return header;
}

class BlobWriter {
 public:
  explicit BlobWriter(std::size_t header_bytes) : bytes_(align(header_bytes)) {}

  /// Room for `count` elements of T, zeroed; returns their offset.
  template <class T>
  std::uint64_t reserve(std::size_t count) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + align(count * sizeof(T)));
    return at;
  }
  template <class T>
  std::uint64_t append(const std::vector<T>& values) {
    const std::uint64_t at = reserve<T>(values.size());
    if (!values.empty()) std::memcpy(bytes_.data() + at, values.data(), values.size() * sizeof(T));
    return at;
  }
  std::byte* at(std::uint64_t offset) { return bytes_.data() + offset; }
  std::size_t size() const { return bytes_.size(); }

  template <class Header>
  std::vector<std::byte> finish(Header header) {
    header.blob_bytes = bytes_.size();
    std::memcpy(bytes_.data(), &header, sizeof header);
    return std::move(bytes_);
  }

 private:
  /// Arrays start at multiples of 128 bytes: whole DRAM sectors, and any vector load is aligned.
  static std::size_t align(std::size_t bytes) { return (bytes + 127) / 128 * 128; }
  std::vector<std::byte> bytes_;
};

}  // namespace cross::compiler
