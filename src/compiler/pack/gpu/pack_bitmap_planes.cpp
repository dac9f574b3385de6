#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "compiler/pack/gpu/blob_writer.h"
#include "compiler/pack/gpu/formats.h"
#include "compiler/pack/gpu/kept_rows.h"
#include "cross/error.h"
#include "plan/formats/gpu/bitmap_planes.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

constexpr int tile_rows = bitmap_planes_rows;
constexpr int block_cols = bitmap_planes_cols;

/// The rows of a tile in the plan's dtype, zeros to the end of the last block.
void load_tile(const MatrixView& weight, DType dtype, std::int64_t row0, std::int64_t padded_cols,
               std::vector<std::uint16_t>& out) {
  out.assign(static_cast<std::size_t>(tile_rows * padded_cols), 0);
  for (std::int64_t r = 0; r < tile_rows && row0 + r < weight.rows; ++r) {
    std::uint16_t* row = out.data() + r * padded_cols;
    if (weight.dtype == dtype)
      std::memcpy(row, weight.row(row0 + r), static_cast<std::size_t>(weight.cols) * 2);
    else
      for (std::int64_t c = 0; c < weight.cols; ++c) row[c] = half_bits(weight, dtype, row0 + r, c);
  }
}

/// Appends one block. @param first its upper left weight; rows are `stride` apart. @return kept values
std::uint32_t append_block(const std::uint16_t* first, std::int64_t stride, std::vector<std::byte>& out) {
  std::byte block[bitmap_planes_max_block] = {};
  std::byte* values = block + bitmap_planes_values_at;
  std::uint32_t kept = 0;
  for (int lane = 0; lane < bitmap_planes_lanes; ++lane) {
    if (lane % 4 == 0) {
      const auto start = static_cast<std::uint16_t>(kept);
      std::memcpy(block + lane / 4 * 2, &start, 2);
    }
    std::uint32_t mask[2] = {0, 0};
    for (int step = 0; step < bitmap_planes_steps; ++step)
      for (int half = 0; half < 2; ++half) {
        const std::uint16_t* row = first + (lane / 4 + 8 * half) * stride;
        for (int i = 0; i < 4; ++i) {
          const std::uint16_t bits = row[bitmap_planes_column(lane, step, i)];
          if (bits == 0) continue;
          mask[step / 4] |= 1u << bitmap_planes_bit(step, half, i);
          std::byte* at = values + bitmap_planes_value_at(kept++);
          at[0] = static_cast<std::byte>(bits & 0xff);
          at[4] = static_cast<std::byte>(bits >> 8);
        }
      }
    std::memcpy(block + bitmap_planes_mask_at + 8 * lane, mask, 8);
  }
  out.insert(out.end(), block, block + bitmap_planes_block_bytes(kept));
  return kept;
}

}  // namespace

std::vector<std::byte> pack_bitmap_planes(const MatrixView& weight, DType dtype, const GpuTarget& target,
                                          int threads, std::int64_t& kept) {
  auto header = begin_header<BitmapPlanesHeader>(Format::bitmap_planes, weight);
  header.tiles = static_cast<std::int32_t>(bitmap_planes_tile_count(weight.rows));
  header.k_blocks = static_cast<std::int32_t>((weight.cols + block_cols - 1) / block_cols);
  header.sms = target.sms;
  header.shared_bytes = static_cast<std::uint32_t>(target.shared_bytes);
  const std::int64_t padded_cols = std::int64_t{header.k_blocks} * block_cols;

  std::vector<std::vector<std::byte>> tile_bytes(static_cast<std::size_t>(header.tiles));
  const std::size_t block_count =
      static_cast<std::size_t>(header.tiles) * static_cast<std::size_t>(header.k_blocks);
  std::vector<std::uint32_t> values(block_count);
#pragma omp parallel num_threads(threads)
  {
    std::vector<std::uint16_t> rows;
#pragma omp for schedule(dynamic, 4)
    for (std::int32_t tile = 0; tile < header.tiles; ++tile) {
      load_tile(weight, dtype, std::int64_t{tile} * tile_rows, padded_cols, rows);
      for (std::int32_t k = 0; k < header.k_blocks; ++k)
        values[static_cast<std::size_t>(tile) * static_cast<std::size_t>(header.k_blocks) +
               static_cast<std::size_t>(k)] =
            append_block(rows.data() + std::int64_t{k} * block_cols, padded_cols,
                         tile_bytes[static_cast<std::size_t>(tile)]);
    }
  }

  std::vector<std::uint32_t> index(block_count + 1);
  kept = 0;
  std::uint64_t units = 0;
  for (std::size_t b = 0; b < block_count; ++b) {
    const std::uint32_t bytes = bitmap_planes_block_bytes(values[b]);
    header.max_block_bytes = std::max(header.max_block_bytes, bytes);
    kept += values[b];
    units += bytes / bitmap_planes_align;
    if (units > std::numeric_limits<std::uint32_t>::max())
      throw InternalError("pack: bitmap_planes holds at most 64 GB");
    index[b + 1] = static_cast<std::uint32_t>(units);
  }

  BlobWriter writer(sizeof header);
  header.index = writer.append(index);
  header.blocks = writer.reserve<std::byte>(static_cast<std::size_t>(units) * bitmap_planes_align);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (std::int32_t tile = 0; tile < header.tiles; ++tile) {
    auto& bytes = tile_bytes[static_cast<std::size_t>(tile)];
    const std::uint64_t at =
        std::uint64_t{index[static_cast<std::size_t>(tile) * static_cast<std::size_t>(header.k_blocks)]} *
        bitmap_planes_align;
    std::memcpy(writer.at(header.blocks + at), bytes.data(), bytes.size());
    std::vector<std::byte>().swap(bytes);
  }
  return writer.finish(header);
}

}  // namespace cross::compiler
