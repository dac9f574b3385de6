// Tile kernels: lanes along tokens. Y is accumulated as acc[r, t] += Σ_e W[r, e] · X[e, t] over one K block,
// with X packed so that the tokens of one element are contiguous (pack_x.h).
//
// What binds them: one load of X per multiply-add (two loads and two multiply-adds issue per clock), so
// index8 can reach about 90 % of peak with eight accumulators and block, which shares each load over four
// rows, all of it.
#pragma once

#include <cstring>

#include "kernels/cpu/unroll.h"
#include "kernels/kernel.h"

namespace cross::kernels {

// Small integers without std:: so that no inline function is emitted with this file's instruction set and
// then shared with the rest of the library.
constexpr std::size_t padded4(std::size_t bytes) { return (bytes + 3) & ~std::size_t{3}; }

/// How far ahead of their use weights are requested. The hardware's prefetchers stop at every 4 KiB page and
/// start anew; memory takes about 400 clocks to answer.
inline constexpr int prefetch_bytes = 2048;

template <class T>
static inline T load_as(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class S>
static inline const float* x_row(const TileArgs& a, std::int64_t element) {
  return reinterpret_cast<const float*>(a.x) + element * (a.vectors * S::lanes);
}

/// index8: every kept element of a row is broadcast and multiplied with `Vectors` vectors of its row of X.
/// Rows stand in the order of their counts, so that the loop below runs equally long many times in a row: in
/// storage order its end is mispredicted for nearly every row, which took more time than the products at 90 %
/// sparsity and few tokens. Short token tiles use several chains of accumulators, or the latency of the
/// multiply-add would bind.
template <class S, class A, int Vectors>
static const std::byte* index8_tile(const TileArgs& a) {
  constexpr int chains = Vectors == 1 ? 4 : Vectors <= 4 ? 2 : 1;
  constexpr std::int64_t width = Vectors * S::lanes;
  constexpr int floats_per_line = 16;
  using Value = typename A::Value;

  const auto entries = load_as<std::uint32_t>(a.chunk);
  const auto* row_of = reinterpret_cast<const std::uint8_t*>(a.chunk + 4);
  const std::uint8_t* count = row_of + padded4(static_cast<std::size_t>(a.rows));
  const std::uint8_t* offset = count + padded4(static_cast<std::size_t>(a.rows));
  const auto* value = reinterpret_cast<const Value*>(offset + padded4(entries));
  const std::byte* end = reinterpret_cast<const std::byte*>(value) + padded4(entries * sizeof(Value));
  const auto* x = reinterpret_cast<const float*>(a.x);
  // The slice of X that this tile multiplies next. It is read in no order that hardware would foresee, and
  // with many columns it comes from L3: every row asks for its share of it.
  const std::byte* next_slice = a.x + k_block_elements * width * static_cast<int>(sizeof(float));
  const int next_lines =
      static_cast<int>(k_block_elements * width / floats_per_line + a.rows - 1) / (a.rows < 1 ? 1 : a.rows);

  for (int i = 0; i < a.rows && count[i] != 0; ++i) {
    for (int line = 0; line < next_lines; ++line, next_slice += 64) __builtin_prefetch(next_slice, 0, 2);
    float* acc = a.acc + row_of[i] * width;
    if constexpr (Vectors >= 4) {
      // Rows out of order defeat the hardware's prefetching of accumulators. Past the last row this reads
      // counts for rows: any row is as good for a prefetch.
      const float* next = a.acc + row_of[i + 2] * width;
      CROSS_UNROLL
      for (int line = 0; line < width / floats_per_line; ++line)
        __builtin_prefetch(next + line * floats_per_line, 1);
    }
    const Value* row_end = value + count[i];
    typename S::F sum[chains][Vectors];
    CROSS_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      sum[0][v] = S::load(acc + v * S::lanes);
      CROSS_UNROLL
      for (int c = 1; c < chains; ++c) sum[c][v] = S::zero();
    }
    for (; value + chains <= row_end; value += chains, offset += chains) {
      CROSS_UNROLL
      for (int c = 0; c < chains; ++c) {
        const float* at = x + offset[c] * width;
        const typename S::F w = A::broadcast(value + c);
        CROSS_UNROLL
        for (int v = 0; v < Vectors; ++v)
          sum[c][v] = A::multiply_add(w, S::load(at + v * S::lanes), sum[c][v]);
      }
    }
    for (; value < row_end; ++value, ++offset) {
      const float* at = x + *offset * width;
      const typename S::F w = A::broadcast(value);
      CROSS_UNROLL
      for (int v = 0; v < Vectors; ++v) sum[0][v] = A::multiply_add(w, S::load(at + v * S::lanes), sum[0][v]);
    }
    // Narrow tiles wait for weights: they ask for as many lines as this list took. In wide ones that costs
    // more than it gives.
    const auto* coming = reinterpret_cast<const std::byte*>(row_end) + prefetch_bytes;
    const int lines = Vectors > 2 ? 1 : (count[i] * static_cast<int>(sizeof(Value)) + 63) / 64;
    for (int line = 0; line < lines; ++line) __builtin_prefetch(coming + line * 64, 0, 2);
    __builtin_prefetch(offset + prefetch_bytes);
    CROSS_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      CROSS_UNROLL
      for (int c = 1; c < chains; ++c) sum[0][v] = S::add(sum[0][v], sum[c][v]);
      S::store(acc + v * S::lanes, sum[0][v]);
    }
  }
  return end;
}

/// acc[0…3, t] += Σ_i W[i, 0…3] · X[offset(i), t] for `Step` vectors of tokens: the heart of block and
/// dense_panel and of an expanded bitmap. W(i, r) stands at value[i * element_stride + r * row_stride].
template <class S, class A, int Step, class Value, class Broadcast, class Offset>
static inline void four_rows(const Value* value, std::int64_t element_stride, std::int64_t row_stride,
                             int count, const float* x, std::int64_t width, float* acc, Broadcast broadcast,
                             Offset offset) {
  typename S::F sum[interleaved_rows][Step];
  CROSS_UNROLL
  for (int r = 0; r < interleaved_rows; ++r) CROSS_UNROLL
  for (int v = 0; v < Step; ++v) sum[r][v] = S::load(acc + r * width + v * S::lanes);
  for (int i = 0; i < count; ++i) {
    const float* at = x + offset(i) * width;
    typename S::F column[Step];
    CROSS_UNROLL
    for (int v = 0; v < Step; ++v) column[v] = S::load(at + v * S::lanes);
    const Value* four = value + i * element_stride;
    CROSS_UNROLL
    for (int r = 0; r < interleaved_rows; ++r) {
      const typename S::F w = broadcast(four + r * row_stride);
      CROSS_UNROLL
      for (int v = 0; v < Step; ++v) sum[r][v] = A::multiply_add(w, column[v], sum[r][v]);
    }
  }
  CROSS_UNROLL
  for (int r = 0; r < interleaved_rows; ++r) CROSS_UNROLL
  for (int v = 0; v < Step; ++v) S::store(acc + r * width + v * S::lanes, sum[r][v]);
}

/// The same over a whole token tile, widest steps first.
template <class S, class A, class Value, class Broadcast, class Offset>
static inline void four_rows_tile(const Value* value, std::int64_t element_stride, std::int64_t row_stride,
                                  int count, const float* x, int vectors, float* acc, Broadcast broadcast,
                                  Offset offset) {
  const std::int64_t width = vectors * S::lanes;
  int v = 0;
  if constexpr (S::interleaved_step >= 4)
    for (; v + 4 <= vectors; v += 4)
      four_rows<S, A, 4>(value, element_stride, row_stride, count, x + v * S::lanes, width,
                         acc + v * S::lanes, broadcast, offset);
  for (; v + 2 <= vectors; v += 2)
    four_rows<S, A, 2>(value, element_stride, row_stride, count, x + v * S::lanes, width, acc + v * S::lanes,
                       broadcast, offset);
  for (; v < vectors; ++v)
    four_rows<S, A, 1>(value, element_stride, row_stride, count, x + v * S::lanes, width, acc + v * S::lanes,
                       broadcast, offset);
}

/// block: column vectors of four rows. acc must have room for rows rounded up to four.
template <class S, class A>
static const std::byte* block_tile(const TileArgs& a) {
  using Value = typename A::Value;
  const int groups = (a.rows + interleaved_rows - 1) / interleaved_rows;
  const auto vectors = load_as<std::uint32_t>(a.chunk);
  const auto* count = reinterpret_cast<const std::uint8_t*>(a.chunk + 4);
  const std::uint8_t* offset = count + padded4(static_cast<std::size_t>(groups));
  const auto* value = reinterpret_cast<const Value*>(offset + padded4(vectors));
  const std::byte* end = reinterpret_cast<const std::byte*>(value) + padded4(vectors * 4 * sizeof(Value));
  const std::int64_t width = a.vectors * S::lanes;
  for (int group = 0; group < groups; ++group) {
    const int length = count[group];
    if (length == 0) continue;
    four_rows_tile<S, A>(
        value, interleaved_rows, 1, length, x_row<S>(a, 0), a.vectors,
        a.acc + group * interleaved_rows * width, [](const Value* w) { return A::broadcast(w); },
        [offset](int i) { return static_cast<std::int64_t>(offset[i]); });
    value += length * interleaved_rows;
    offset += length;
  }
  return end;
}

/// dense_panel: every column of the K block.
template <class S, class A>
static const std::byte* dense_panel_tile(const TileArgs& a) {
  using Value = typename A::Value;
  const int groups = (a.rows + interleaved_rows - 1) / interleaved_rows;
  const auto* value = reinterpret_cast<const Value*>(a.chunk);
  const std::int64_t width = a.vectors * S::lanes;
  for (int group = 0; group < groups; ++group) {
    four_rows_tile<S, A>(
        value, interleaved_rows, 1, a.elements, x_row<S>(a, 0), a.vectors,
        a.acc + group * interleaved_rows * width, [](const Value* w) { return A::broadcast(w); },
        [](int i) { return static_cast<std::int64_t>(i); });
    value += static_cast<std::int64_t>(a.elements) * interleaved_rows;
  }
  const std::size_t bytes =
      static_cast<std::size_t>(groups) * static_cast<std::size_t>(a.elements) * 4 * sizeof(Value);
  return a.chunk + padded4(bytes);
}

/// bitmap and n_m: four rows are expanded, a K block at a time, into a scratch panel in L1, which then
/// multiplies like a dense one. The multiply-adds are those of the dense product; what is saved is memory
/// traffic, so this wins where the weights come from memory (few tokens) and the mask is too dense for
/// index8.
template <class S, class A>
static const std::byte* bitmap_tile(const TileArgs& a) {
  using Column = typename A::Column;
  using Scratch = typename A::Scratch;
  const std::int64_t columns = static_cast<std::int64_t>(a.elements) * A::columns_per_element;
  const std::int64_t words = (columns + 63) / 64;
  const std::int64_t width = a.vectors * S::lanes;
  constexpr int block_columns = k_block_elements * A::columns_per_element;
  constexpr std::uint64_t lane_mask = (std::uint64_t{1} << A::expand_lanes) - 1;
  alignas(64) Scratch scratch[interleaved_rows][k_block_elements];

  const std::byte* at = a.chunk;
  for (int row = 0; row < a.rows; row += interleaved_rows) {
    const int rows_here = a.rows - row < interleaved_rows ? a.rows - row : interleaved_rows;
    const std::byte* mask[interleaved_rows];
    const Column* value[interleaved_rows];
    for (int r = 0; r < rows_here; ++r) {
      mask[r] = at;
      value[r] = reinterpret_cast<const Column*>(at + words * 8);
      std::size_t kept = 0;
      for (std::int64_t w = 0; w < words; ++w)
        kept += static_cast<std::size_t>(__builtin_popcountll(load_as<std::uint64_t>(at + 8 * w)));
      at += static_cast<std::size_t>(words) * 8 + padded4(kept * sizeof(Column));
    }
    for (int r = rows_here; r < interleaved_rows; ++r) std::memset(scratch[r], 0, sizeof scratch[r]);
    for (std::int64_t begin = 0; begin < columns; begin += block_columns) {
      const std::int64_t left = columns - begin;
      const int here = static_cast<int>(left < block_columns ? left : block_columns);
      for (int r = 0; r < rows_here; ++r) {
        auto* out = reinterpret_cast<float*>(scratch[r]);
        for (int word = 0; word * 64 < here; ++word) {
          std::uint64_t bits = load_as<std::uint64_t>(mask[r] + (begin / 64 + word) * 8);
          for (int lane = 0; lane < 64; lane += A::expand_lanes, out += S::lanes) {
            const auto part = static_cast<std::uint32_t>(bits & lane_mask);
            S::store(out, A::expand(value[r], part));
            value[r] += __builtin_popcount(part);
            bits >>= A::expand_lanes;
          }
        }
      }
      const int elements = (here + A::columns_per_element - 1) / A::columns_per_element;
      four_rows_tile<S, A>(
          &scratch[0][0], 1, k_block_elements, elements, x_row<S>(a, begin / A::columns_per_element),
          a.vectors, a.acc + row * width, [](const Scratch* w) { return A::broadcast_scratch(w); },
          [](int i) { return static_cast<std::int64_t>(i); });
    }
  }
  return at;
}

/// Vectors per token tile that index8 is instantiated for; dispatch for all tile kernels rounds up to one of
/// these.
inline constexpr int tile_vector_choices[] = {1, 2, 3, 4, 6, 8};

template <class S, class A>
static const std::byte* index8_dispatch(const TileArgs& a) {
  switch (a.vectors) {
    case 1:
      return index8_tile<S, A, 1>(a);
    case 2:
      return index8_tile<S, A, 2>(a);
    case 3:
      return index8_tile<S, A, 3>(a);
    case 4:
      return index8_tile<S, A, 4>(a);
    default:
      break;
  }
  if constexpr (S::max_vectors >= 8) {
    if (a.vectors == 6) return index8_tile<S, A, 6>(a);
    if (a.vectors == 8) return index8_tile<S, A, 8>(a);
  }
  return nullptr;
}

}  // namespace cross::kernels
