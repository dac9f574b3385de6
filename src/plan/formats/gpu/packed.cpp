#include "plan/formats/gpu/packed.h"

#include <fmt/format.h>

#include "cross/error.h"
#include "plan/formats/gpu/bitmap_planes.h"
#include "plan/formats/gpu/blob.h"
#include "plan/formats/gpu/block_tiles.h"
#include "plan/formats/gpu/column_vectors.h"
#include "plan/formats/gpu/cross_panels.h"
#include "plan/formats/gpu/delta.h"
#include "plan/formats/gpu/row_lists.h"
#include "plan/formats/gpu/split_blocks.h"
#include "plan/formats/gpu/two_four.h"
#include "plan/formats/gpu/two_four_overflow.h"

namespace cross::formats::gpu {

std::string check(std::span<const std::byte> blob, Format format, std::int64_t rows, std::int64_t cols,
                  std::size_t threads) {
  if (blob.size() < sizeof(BlobHeader)) return fmt::format("{} bytes are too few for a header", blob.size());
  const auto header = read_header<BlobHeader>(blob);
  if (header.format != static_cast<std::uint32_t>(format))
    return fmt::format("the header says format {}, not {}", header.format, name_of(format));
  if (header.rows != rows || header.cols != cols)
    return fmt::format("the header says {}x{}, not {}x{}", header.rows, header.cols, rows, cols);
  if (header.blob_bytes != blob.size())
    return fmt::format("the header says {} bytes, there are {}", header.blob_bytes, blob.size());
  switch (format) {
    case Format::delta4:
    case Format::delta8:
      return check_delta(blob, threads);
    case Format::bitmap_planes:
      return check_bitmap_planes(blob, threads);
    case Format::two_four:
      return check_two_four(blob, rows, cols);
    case Format::cross_panels:
      return check_cross_panels(blob, rows, cols);
    case Format::block_tiles:
      return check_block_tiles(blob, rows, cols);
    case Format::split_blocks:
      return check_split_blocks(blob, rows, cols);
    case Format::two_four_overflow:
      return check_two_four_overflow(blob, rows, cols);
    case Format::column_vectors:
      return check_column_vectors(blob, rows, cols);
    case Format::row_lists:
      return check_row_lists(blob, rows, cols);
    default:
      return fmt::format("format {} is not one of the CUDA device family", name_of(format));
  }
}

void decode(std::span<const std::byte> blob, const Visitor& visit) {
  switch (static_cast<Format>(read_header<BlobHeader>(blob).format)) {
    case Format::delta4:
    case Format::delta8:
      return decode_delta(blob, visit);
    case Format::bitmap_planes:
      return decode_bitmap_planes(blob, visit);
    case Format::two_four:
      return decode_two_four(blob, visit);
    case Format::cross_panels:
      return decode_cross_panels(blob, visit);
    case Format::block_tiles:
      return decode_block_tiles(blob, visit);
    case Format::split_blocks:
      return decode_split_blocks(blob, visit);
    case Format::two_four_overflow:
      return decode_two_four_overflow(blob, visit);
    case Format::column_vectors:
      return decode_column_vectors(blob, visit);
    case Format::row_lists:
      return decode_row_lists(blob, visit);
    default:
      throw InternalError("decode: not a format of the CUDA device family");
  }
}

}  // namespace cross::formats::gpu
