// What every packed format of the CUDA device family owes a damaged blob: it is refused, or decodes inside
// the matrix.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "cross/format.h"
#include "plan/formats/gpu/blob.h"

namespace cross::compiler {

/// Writes element `index` of the list of a blob that begins at `offset`.
template <class T>
void put_element(std::vector<std::byte>& blob, std::uint64_t offset, std::size_t index, T value) {
  std::memcpy(blob.data() + offset + sizeof value * index, &value, sizeof value);
}

/// What check says of a blob after `change(header, blob)`; the header is written back behind it.
template <class Header, class Change>
std::string check_changed(std::vector<std::byte> blob, Format format, std::int64_t rows, std::int64_t cols,
                          const Change& change) {
  Header header = formats::gpu::read_header<Header>(blob);
  change(header, blob);
  std::memcpy(blob.data(), &header, sizeof header);
  return formats::gpu::check(blob, format, rows, cols);
}

/// Flips a bit 2000 times, every other time among the first `front` bytes: header and tables, which are few
/// of the bytes. Then cuts the blob and asks for another shape and every other format.
/// @param least  how many flips must be found; elsewhere they change a value or make a legal position another
/// one
inline void expect_damage_refused_or_harmless(std::span<const std::byte> blob, Format format,
                                              std::int64_t rows, std::int64_t cols, std::size_t front,
                                              int least) {
  ASSERT_EQ(formats::gpu::check(blob, format, rows, cols), "");
  std::mt19937 random(5);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::byte> damaged(blob.begin(), blob.end());
    damaged[random() % (i % 2 == 0 ? front : damaged.size())] ^= static_cast<std::byte>(1u << (random() % 8));
    if (!formats::gpu::check(damaged, format, rows, cols).empty()) {
      ++refused;
      continue;
    }
    formats::gpu::decode(damaged, [&](std::int64_t row, std::int64_t col, std::uint32_t) {
      ASSERT_TRUE(row >= 0 && row < rows && col >= 0 && col < cols);
    });
  }
  EXPECT_GT(refused, least);
  const std::size_t header = formats::gpu::read_header<formats::gpu::BlobHeader>(blob).bytes;
  for (const std::size_t size : {std::size_t{0}, std::size_t{8}, std::size_t{24}, header, blob.size() - 128})
    EXPECT_NE(formats::gpu::check(blob.first(size), format, rows, cols), "") << size;
  EXPECT_NE(formats::gpu::check(blob, format, rows + 1, cols), "");
  EXPECT_NE(formats::gpu::check(blob, format, rows, cols + 1), "");
  for (const Format other : gpu_formats)
    if (other != format) {
      EXPECT_NE(formats::gpu::check(blob, other, rows, cols), "") << name_of(other);
    }
}

}  // namespace cross::compiler
