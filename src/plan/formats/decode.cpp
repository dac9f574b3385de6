#include "plan/formats/decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace cross::formats {
namespace {

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// Walks forward through a segment and remembers whether the bytes ran out.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  /// The next `count` bytes (rounded up to a multiple of 4), or nullptr when they are not there.
  const std::byte* take(std::size_t count) {
    const std::size_t padded = round_up(count, 4);
    if (padded < count || padded > bytes_.size() - position_) return nullptr;
    const std::byte* at = bytes_.data() + position_;
    position_ += padded;
    return at;
  }
  std::size_t position() const { return position_; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
};

/// One chunk of index8 (row_step 1) or block (row_step 4).
struct SparseChunk {
  const std::byte* row = nullptr;  ///< index8: whose list is the i-th
  const std::byte* count = nullptr;
  const std::byte* offset = nullptr;
  const std::byte* value = nullptr;
  std::uint32_t entries = 0;
};

int lists_of(const SegmentShape& shape) {
  return shape.format == Format::block ? groups_of(shape.rows) : shape.rows;
}

int row_step(Format format) { return format == Format::index8 ? 1 : interleaved_rows; }

bool take_chunk(Reader& reader, const SegmentShape& shape, SparseChunk& chunk) {
  const std::byte* header = reader.take(4);
  if (header == nullptr) return false;
  chunk.entries = load<std::uint32_t>(header);
  const std::size_t values =
      static_cast<std::size_t>(chunk.entries) * static_cast<std::size_t>(row_step(shape.format));
  if (shape.format == Format::index8) chunk.row = reader.take(static_cast<std::size_t>(shape.rows));
  chunk.count = reader.take(static_cast<std::size_t>(lists_of(shape)));
  chunk.offset = reader.take(chunk.entries);
  chunk.value = reader.take(values * value_bytes(shape.format, shape.arithmetic));
  const bool rows_there = shape.format != Format::index8 || chunk.row != nullptr;
  return rows_there && chunk.count != nullptr && chunk.offset != nullptr && chunk.value != nullptr;
}

/// index8's rows: a permutation, longest list first (kernels stop at the first empty list).
std::string check_rows(const SparseChunk& chunk, int rows, std::int64_t first) {
  bool seen[max_panel_rows] = {};
  for (int i = 0; i < rows; ++i) {
    const auto row = static_cast<int>(chunk.row[i]);
    if (row >= rows || seen[row])
      return fmt::format("K block at {}: list {} names row {} of {} rows, or names it twice", first, i, row,
                         rows);
    seen[row] = true;
    if (i > 0 && chunk.count[i] > chunk.count[i - 1])
      return fmt::format("K block at {}: list {} is longer than the one before it", first, i);
  }
  return {};
}

std::string check_lists(const SparseChunk& chunk, int lists, int elements, std::int64_t first) {
  std::uint64_t at = 0;
  for (int list = 0; list < lists; ++list) {
    const auto count = static_cast<unsigned>(chunk.count[list]);
    if (at + count > chunk.entries)
      return fmt::format("K block at {}: the counts add up to more than its {} entries", first,
                         chunk.entries);
    int previous = -1;
    for (unsigned i = 0; i < count; ++i) {
      const int offset = static_cast<int>(chunk.offset[at + i]);
      if (offset >= elements || offset <= previous)
        return fmt::format("K block at {}, list {}: offset {} after {}; offsets ascend and stay below {}",
                           first, list, offset, previous, elements);
      previous = offset;
    }
    at += count;
  }
  if (at != chunk.entries)
    return fmt::format("K block at {}: the counts add up to {}, not to its {} entries", first, at,
                       chunk.entries);
  return {};
}

CheckedSize check_whole_rows(Reader& reader, const SegmentShape& shape) {
  const std::int64_t words = words_of(shape.columns);
  const auto tail = static_cast<unsigned>(shape.columns % 64);
  for (int row = 0; row < shape.rows; ++row) {
    const std::byte* mask = reader.take(static_cast<std::size_t>(words) * 8);
    if (mask == nullptr) return {0, fmt::format("row {}: the mask runs past the end", row)};
    std::int64_t kept = 0;
    for (std::int64_t w = 0; w < words; ++w) kept += std::popcount(load<std::uint64_t>(mask + 8 * w));
    if (tail != 0 && (load<std::uint64_t>(mask + 8 * (words - 1)) >> tail) != 0)
      return {0, fmt::format("row {}: a mask bit past column {} is set", row, shape.columns - 1)};
    if (shape.format == Format::n_m && kept != n_m_values(shape.columns, shape.keep, shape.group))
      return {0, fmt::format("row {}: {} mask bits set; {}:{} needs {}", row, kept, shape.keep, shape.group,
                             n_m_values(shape.columns, shape.keep, shape.group))};
    if (reader.take(static_cast<std::size_t>(kept) * value_bytes(shape.format, shape.arithmetic)) == nullptr)
      return {0, fmt::format("row {}: the values run past the end", row)};
  }
  return {reader.position(), {}};
}

std::uint32_t column_bits(const std::byte* values, std::size_t index, std::size_t size) {
  return size == 4 ? load<std::uint32_t>(values + 4 * index) : load<std::uint16_t>(values + 2 * index);
}

/// An element is one column, or two in bf16_pair.
void visit_element(const Visitor& visit, const SegmentShape& shape, int row, std::int64_t element,
                   std::uint32_t bits) {
  if (row >= shape.rows) return;
  if (shape.arithmetic != Arithmetic::bf16_pair) {
    visit(row, element, bits);
    return;
  }
  visit(row, 2 * element, bits & 0xffffu);
  if (2 * element + 1 < shape.columns) visit(row, 2 * element + 1, bits >> 16);
}

}  // namespace

CheckedSize check_segment(std::span<const std::byte> bytes, const SegmentShape& shape) {
  if (shape.format == Format::index8 && shape.rows > max_panel_rows)
    return {0, fmt::format("index8 has {} rows; it names at most {}", shape.rows, max_panel_rows)};
  Reader reader(bytes);
  const std::int64_t elements = elements_of(shape.columns, shape.arithmetic);
  switch (shape.format) {
    case Format::empty:
      return {};
    case Format::delta4:
    case Format::delta8:
    case Format::bitmap_planes:
    case Format::two_four:
    case Format::cross_panels:
    case Format::block_tiles:
    case Format::split_blocks:
    case Format::two_four_overflow:
    case Format::column_vectors:
    case Format::row_lists:
      return {0, "this format belongs to the CUDA device family, not to a segment of a CPU plan"};
    case Format::bitmap:
    case Format::n_m:
      return check_whole_rows(reader, shape);
    case Format::dense: {
      const std::size_t size = static_cast<std::size_t>(shape.rows) *
                               static_cast<std::size_t>(shape.columns) *
                               value_bytes(shape.format, shape.arithmetic);
      if (reader.take(size) == nullptr) return {0, "the dense matrix runs past the end"};
      return {reader.position(), {}};
    }
    case Format::dense_panel:
    case Format::index8:
    case Format::block:
      break;
  }
  for (std::int64_t first = 0; first < elements; first += k_block_elements) {
    const int extent = static_cast<int>(std::min<std::int64_t>(k_block_elements, elements - first));
    if (shape.format == Format::dense_panel) {
      const std::size_t values =
          static_cast<std::size_t>(groups_of(shape.rows)) * static_cast<std::size_t>(extent) * 4;
      if (reader.take(values * value_bytes(shape.format, shape.arithmetic)) == nullptr)
        return {0, fmt::format("K block at {}: the values run past the end", first)};
      continue;
    }
    SparseChunk chunk;
    if (!take_chunk(reader, shape, chunk)) return {0, fmt::format("K block at {} runs past the end", first)};
    if (shape.format == Format::index8)
      if (std::string error = check_rows(chunk, shape.rows, first); !error.empty()) return {0, error};
    if (std::string error = check_lists(chunk, lists_of(shape), extent, first); !error.empty())
      return {0, error};
  }
  return {reader.position(), {}};
}

namespace {

constexpr int all_rows = -1;

/// Whether rows [first, first + count) hold what is wanted: one row or all.
bool wants(int wanted, int first, int count) {
  return wanted == all_rows || (wanted >= first && wanted < first + count);
}

void decode(std::span<const std::byte> bytes, const SegmentShape& shape, int wanted, const Visitor& visit) {
  Reader reader(bytes);
  const std::size_t size = value_bytes(shape.format, shape.arithmetic);
  const std::int64_t elements = elements_of(shape.columns, shape.arithmetic);
  if (shape.format == Format::dense) {
    const std::byte* values = reader.take(static_cast<std::size_t>(shape.rows * shape.columns) * size);
    for (int row = 0; row < shape.rows; ++row)
      for (std::int64_t column = 0; wants(wanted, row, 1) && column < shape.columns; ++column)
        visit(row, column, column_bits(values, static_cast<std::size_t>(row * shape.columns + column), size));
    return;
  }
  if (shape.format == Format::bitmap || shape.format == Format::n_m) {
    for (int row = 0; row < shape.rows; ++row) {
      const std::int64_t words = words_of(shape.columns);
      const std::byte* mask = reader.take(static_cast<std::size_t>(words) * 8);
      std::int64_t kept = 0;
      for (std::int64_t w = 0; w < words; ++w) kept += std::popcount(load<std::uint64_t>(mask + 8 * w));
      const std::byte* values = reader.take(static_cast<std::size_t>(kept) * size);
      if (!wants(wanted, row, 1)) continue;
      std::size_t next = 0;
      for (std::int64_t w = 0; w < words; ++w)
        for (std::uint64_t left = load<std::uint64_t>(mask + 8 * w); left != 0; left &= left - 1)
          visit(row, 64 * w + std::countr_zero(left), column_bits(values, next++, size));
    }
    return;
  }
  if (shape.format == Format::empty) return;
  for (std::int64_t first = 0; first < elements; first += k_block_elements) {
    const auto extent = static_cast<std::size_t>(std::min<std::int64_t>(k_block_elements, elements - first));
    if (shape.format == Format::dense_panel) {
      const auto groups = static_cast<std::size_t>(groups_of(shape.rows));
      const std::byte* values = reader.take(groups * extent * 4 * size);
      for (std::size_t group = 0; group < groups; ++group)
        for (std::size_t e = 0; wants(wanted, static_cast<int>(4 * group), 4) && e < extent; ++e)
          for (std::size_t r = 0; r < 4; ++r)
            visit_element(visit, shape, static_cast<int>(4 * group + r), first + static_cast<std::int64_t>(e),
                          column_bits(values, (group * extent + e) * 4 + r, size));
      continue;
    }
    SparseChunk chunk;
    take_chunk(reader, shape, chunk);
    const int step = row_step(shape.format);
    std::size_t at = 0;
    for (int list = 0; list < lists_of(shape); ++list) {
      const int row = chunk.row != nullptr ? static_cast<int>(chunk.row[list]) : list * step;
      if (!wants(wanted, row, step)) {
        at += static_cast<std::size_t>(chunk.count[list]);
        continue;
      }
      for (auto left = static_cast<unsigned>(chunk.count[list]); left > 0; --left, ++at)
        for (int r = 0; r < step; ++r)
          visit_element(visit, shape, row + r, first + static_cast<int>(chunk.offset[at]),
                        column_bits(chunk.value,
                                    at * static_cast<std::size_t>(step) + static_cast<std::size_t>(r), size));
    }
  }
}

}  // namespace

void decode_segment(std::span<const std::byte> bytes, const SegmentShape& shape, const Visitor& visit) {
  decode(bytes, shape, all_rows, visit);
}

void decode_row(std::span<const std::byte> bytes, const SegmentShape& shape, int row, const Visitor& visit) {
  decode(bytes, shape, row, [&](int at, std::int64_t column, std::uint32_t bits) {
    if (at == row) visit(at, column, bits);
  });
}

}  // namespace cross::formats
