#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/quote.h"
#include "cross/error.h"
#include "cross/prune.h"
#include "prune/options.h"
#include "prune/prune_layer.h"

namespace cross {
namespace prune_detail {
namespace {

std::byte* position(const MatrixView& w, std::span<std::byte> bytes, std::int64_t r, std::int64_t c) {
  return bytes.data() + static_cast<std::size_t>(r * w.cols + c) * size_of(w.dtype);
}

void zero(const MatrixView& w, std::span<std::byte> bytes, const UnitRange& unit) {
  const std::size_t width = static_cast<std::size_t>(unit.col_end - unit.col) * size_of(w.dtype);
  for (std::int64_t r = unit.row; r < unit.row_end; ++r)
    std::memset(position(w, bytes, r, unit.col), 0, width);
}

/// Zeroes all but the `keep` largest of each group of each row.
template <DType type>
void prune_groups(const MatrixView& w, std::span<std::byte> bytes, const Pattern& pattern,
                  std::string_view name) {
  constexpr int largest_group = 32;
  std::array<std::uint64_t, largest_group>
      order;  // score, then position: equal magnitudes go first come, first pruned
  for (std::int64_t r = 0; r < w.rows; ++r) {
    for (std::int64_t first = 0; first < w.cols; first += pattern.group) {
      const auto width = static_cast<int>(std::min<std::int64_t>(pattern.group, w.cols - first));
      for (int i = 0; i < width; ++i) {
        const std::uint32_t bits = fp32_bits<type>(position(w, bytes, r, first + i));
        if (is_nan(bits)) refuse_nan(name, r, first + i);
        order[static_cast<std::size_t>(i)] =
            std::uint64_t{element_score(bits)} << 8 | static_cast<unsigned>(i);
      }
      const int pruned = width - pattern.keep;
      if (pruned <= 0) continue;
      std::nth_element(order.begin(), order.begin() + pruned - 1, order.begin() + width);
      for (int i = 0; i < pruned; ++i) {
        const auto at = first + static_cast<std::int64_t>(order[static_cast<std::size_t>(i)] & 0xffu);
        std::memset(position(w, bytes, r, at), 0, size_of(type));
      }
    }
  }
}

void prune_groups(const MatrixView& w, std::span<std::byte> bytes, const Pattern& pattern,
                  std::string_view name) {
  switch (w.dtype) {
    case DType::fp32:
      return prune_groups<DType::fp32>(w, bytes, pattern, name);
    case DType::fp16:
      return prune_groups<DType::fp16>(w, bytes, pattern, name);
    case DType::bf16:
      return prune_groups<DType::bf16>(w, bytes, pattern, name);
  }
}

template <typename Element>
std::int64_t zeros_in(const std::byte* bytes, std::int64_t elements) {
  std::int64_t zeros = 0;
  for (std::int64_t i = 0; i < elements; ++i) {
    Element value;
    std::memcpy(&value, bytes + i * std::int64_t{sizeof value}, sizeof value);
    zeros += value == 0;
  }
  return zeros;
}

}  // namespace

void refuse_nan(std::string_view name, std::int64_t r, std::int64_t c) {
  throw InputError(
      fmt::format("tensor {}: the value at row {}, column {} is NaN, which has no magnitude to prune by",
                  base::in_quotes(name), r, c));
}

std::int64_t count_units(const MatrixView& w, const Pattern& pattern) {
  if (w.elements() == 0) return 0;
  if (pattern.kind == PatternKind::row) return w.rows;
  if (pattern.kind != PatternKind::block) return w.elements();
  return ((w.rows + pattern.block_rows - 1) / pattern.block_rows) *
         ((w.cols + pattern.block_cols - 1) / pattern.block_cols);
}

std::int64_t count_zeros(const MatrixView& w) {
  return w.dtype == DType::fp32 ? zeros_in<std::uint32_t>(w.data, w.elements())
                                : zeros_in<std::uint16_t>(w.data, w.elements());
}

std::uint64_t target_of(double sparsity, std::int64_t units) {
  return static_cast<std::uint64_t>(std::llround(sparsity * static_cast<double>(units)));
}

Cutoff cutoff_of(const MatrixView& weights, const PruneOptions& options, std::string_view name) {
  CutoffSearch search(target_of(options.sparsity.value(), count_units(weights, options.pattern)));
  for_each_unit(weights, options.pattern, name,
                [&](Score score, const UnitRange&) { search.count_upper(score); });
  search.choose_upper();
  for_each_unit(weights, options.pattern, name,
                [&](Score score, const UnitRange&) { search.count_lower(score); });
  return search.finish();
}

PrunedLayer apply(const MatrixView& weights, std::span<std::byte> pruned, const Pattern& pattern,
                  Cutoff& cutoff, std::string_view name) {
  PrunedLayer layer{std::string(name), weights.rows, weights.cols, count_zeros(weights), 0};
  if (!pruned.empty() && pruned.data() != weights.data)
    std::memcpy(pruned.data(), weights.data, pruned.size());
  MatrixView result = weights;
  result.data = pruned.data();
  if (pattern.kind == PatternKind::n_m) {
    prune_groups(result, pruned, pattern, name);
  } else {
    for_each_unit(result, pattern, name, [&](Score score, const UnitRange& unit) {
      if (cutoff.prunes(score)) zero(result, pruned, unit);
    });
  }
  layer.zeros_after = count_zeros(result);
  return layer;
}

}  // namespace prune_detail

PrunedLayer prune_matrix(const MatrixView& weights, std::span<std::byte> pruned, const PruneOptions& options,
                         std::string_view name) {
  prune_detail::check(options);
  if (pruned.size() != weights.bytes()) {
    throw InternalError(
        fmt::format("prune_matrix: {} bytes for a matrix of {}", pruned.size(), weights.bytes()));
  }
  prune_detail::Cutoff cutoff;
  if (options.pattern.kind != PatternKind::n_m) cutoff = prune_detail::cutoff_of(weights, options, name);
  return prune_detail::apply(weights, pruned, options.pattern, cutoff, name);
}

}  // namespace cross
