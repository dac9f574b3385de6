#include "plan/formats/gpu/head.h"

#include <algorithm>

#include "plan/formats/gpu/blob.h"
#include "plan/formats/gpu/delta.h"
#include "plan/formats/gpu/split_blocks.h"

namespace cross::formats::gpu {

std::size_t head_bytes(std::span<const std::byte> blob) {
  const auto header = read_header<BlobHeader>(blob);
  if (header.format == static_cast<std::uint32_t>(Format::split_blocks)) {
    const auto split = read_header<SplitBlocksHeader>(blob);
    const std::uint64_t lists = split.lists();
    return lists > split_lists_aboard
               ? header.bytes
               : std::max<std::size_t>(header.bytes, split.begin + (lists + 1) * sizeof(std::uint32_t));
  }
  if (header.format != static_cast<std::uint32_t>(Format::delta4) &&
      header.format != static_cast<std::uint32_t>(Format::delta8))
    return header.bytes;
  const auto delta = read_header<DeltaHeader>(blob);
  return std::max<std::size_t>(header.bytes, delta.cta_block + (delta.ctas() + 1) * sizeof(std::uint32_t));
}

}  // namespace cross::formats::gpu
