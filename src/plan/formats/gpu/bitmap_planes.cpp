#include "plan/formats/gpu/bitmap_planes.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/parallel.h"
#include "plan/formats/gpu/blob.h"

namespace cross::formats::gpu {
namespace {

/// One block of a checked index.
class Block {
 public:
  Block(std::span<const std::byte> blob, const BitmapPlanesHeader& h, std::uint64_t number)
      : blob_(blob),
        at_(h.blocks + std::uint64_t{element<std::uint32_t>(blob, h.index, number)} * bitmap_planes_align) {}

  std::uint32_t start(int g) const {
    return element<std::uint16_t>(blob_, at_, static_cast<std::uint64_t>(g));
  }
  std::uint32_t mask(int lane, int word) const {
    return element<std::uint32_t>(blob_, at_ + bitmap_planes_mask_at,
                                  static_cast<std::uint64_t>(2 * lane + word));
  }
  std::uint16_t value(std::uint32_t v) const {
    const std::uint64_t at = at_ + bitmap_planes_values_at + bitmap_planes_value_at(v);
    return static_cast<std::uint16_t>(element<std::uint8_t>(blob_, at, 0) |
                                      element<std::uint8_t>(blob_, at, 4) << 8);
  }

 private:
  std::span<const std::byte> blob_;
  std::uint64_t at_;
};

/// visit(lane, row in the block, column in the block) for every bit set, in the order of the values.
template <class Visit>
void for_each_bit(const Block& block, Visit visit) {
  for (int lane = 0; lane < bitmap_planes_lanes; ++lane)
    for (int step = 0; step < bitmap_planes_steps; ++step) {
      const std::uint32_t mask = block.mask(lane, step / 4);
      for (int half = 0; half < 2; ++half)
        for (int i = 0; i < 4; ++i)
          if ((mask >> bitmap_planes_bit(step, half, i) & 1) != 0)
            visit(lane / 4 + 8 * half, bitmap_planes_column(lane, step, i));
    }
}

std::string check_header(std::span<const std::byte> blob, const BitmapPlanesHeader& h) {
  if (h.bytes != sizeof(BitmapPlanesHeader) || h.rows < 1 || h.cols < 1) return "the header is damaged";
  const std::int64_t tiles = bitmap_planes_tile_count(h.rows);
  const std::int64_t k_blocks = (std::int64_t{h.cols} + bitmap_planes_cols - 1) / bitmap_planes_cols;
  if (h.tiles != tiles || h.k_blocks != k_blocks)
    return fmt::format("{} tiles x {} blocks for {}x{}", h.tiles, h.k_blocks, h.rows, h.cols);
  if (h.sms < 1 || h.sms > 4096 || h.shared_bytes < (48u << 10) || h.shared_bytes > (1u << 20))
    return fmt::format("{} SMs with {} bytes of shared memory make no sense", h.sms, h.shared_bytes);
  if (h.max_block_bytes > bitmap_planes_max_block)
    return fmt::format("blocks of {} bytes, at most {} are possible", h.max_block_bytes,
                       bitmap_planes_max_block);
  if (!array_fits(blob, h.index, static_cast<std::uint64_t>(tiles * k_blocks) + 1, 4) ||
      h.blocks % 128 != 0 || h.blocks > blob.size())
    return "an array leaves the blob or is not aligned to 128 bytes";
  return {};
}

/// The blocks of a tile: 16 rows, all columns.
std::string check_tile(std::span<const std::byte> blob, const BitmapPlanesHeader& h, std::uint64_t tile) {
  const auto k_blocks = static_cast<std::uint64_t>(h.k_blocks);
  const std::uint64_t units = (blob.size() - h.blocks) / bitmap_planes_align;
  const std::int64_t row0 = static_cast<std::int64_t>(tile) * bitmap_planes_rows;
  for (std::uint64_t k = 0; k < k_blocks; ++k) {
    const std::uint64_t b = tile * k_blocks + k;
    const auto begin = element<std::uint32_t>(blob, h.index, b);
    const auto end = element<std::uint32_t>(blob, h.index, b + 1);
    const std::uint64_t bytes = end < begin ? 0 : std::uint64_t{end - begin} * bitmap_planes_align;
    if (end > units || bytes < bitmap_planes_block_bytes(0) || bytes > h.max_block_bytes)
      return fmt::format("block {} has {} bytes or leaves the blob", b, bytes);
    const Block block(blob, h, b);
    std::uint32_t kept = 0;
    for (int lane = 0; lane < bitmap_planes_lanes; ++lane) {
      if (lane % 4 == 0 && block.start(lane / 4) != kept)
        return fmt::format("block {}: the values of lane {} do not begin at {}", b, lane, kept);
      kept +=
          static_cast<std::uint32_t>(std::popcount(block.mask(lane, 0)) + std::popcount(block.mask(lane, 1)));
    }
    if (bytes != bitmap_planes_block_bytes(kept))
      return fmt::format("block {} has {} bytes for {} values", b, bytes, kept);
    const std::int64_t col0 = static_cast<std::int64_t>(k) * bitmap_planes_cols;
    if (row0 + bitmap_planes_rows > h.rows || col0 + bitmap_planes_cols > h.cols) {
      bool inside = true;
      for_each_bit(block, [&](int row, int col) { inside &= row0 + row < h.rows && col0 + col < h.cols; });
      if (!inside) return fmt::format("block {} keeps a weight outside the matrix", b);
    }
  }
  return {};
}

}  // namespace

std::string check_bitmap_planes(std::span<const std::byte> blob, std::size_t threads) {
  if (blob.size() < sizeof(BitmapPlanesHeader)) return "too few bytes for the header";
  const auto h = read_header<BitmapPlanesHeader>(blob);
  if (auto error = check_header(blob, h); !error.empty()) return error;
  if (element<std::uint32_t>(blob, h.index, 0) != 0) return "the first block does not begin at 0";
  return base::first_error_parallel(static_cast<std::size_t>(h.tiles), threads,
                                    [&](std::size_t tile) { return check_tile(blob, h, tile); });
}

void decode_bitmap_planes(std::span<const std::byte> blob, const Visitor& visit) {
  const auto h = read_header<BitmapPlanesHeader>(blob);
  for (std::int64_t tile = 0; tile < h.tiles; ++tile)
    for (std::int64_t k = 0; k < h.k_blocks; ++k) {
      const Block block(blob, h, static_cast<std::uint64_t>(tile * h.k_blocks + k));
      std::uint32_t v = 0;
      for_each_bit(block, [&](int row, int col) {
        visit(tile * bitmap_planes_rows + row, k * bitmap_planes_cols + col, block.value(v++));
      });
    }
}

}  // namespace cross::formats::gpu
