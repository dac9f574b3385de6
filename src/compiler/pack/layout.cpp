#include "compiler/pack/layout.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include "base/huge_pages.h"
#include "compiler/pack/pack.h"

namespace cross::compiler {
namespace {

std::vector<std::int32_t> panel_rows(std::span<const std::int32_t> order, const Panel& panel) {
  std::vector<std::int32_t> rows(static_cast<std::size_t>(panel.rows));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const std::size_t at = static_cast<std::size_t>(panel.row_begin) + r;
    rows[r] = order.empty() ? static_cast<std::int32_t>(at) : order[at];
  }
  return rows;
}

/// One panel's bytes; segment offsets are relative to them.
struct PackedPanel {
  std::vector<std::byte> bytes;
  std::int64_t kept = 0;
};

PackedPanel pack_panel(const MatrixView& weight, DType dtype, std::span<const std::int32_t> order,
                       Panel& panel, kernels::Arithmetic arithmetic) {
  const PanelSource source(weight, dtype, panel_rows(order, panel));
  PackedPanel packed;
  packed.kept = source.kept(0, weight.cols);
  for (Segment& s : panel.segments) {
    s.offset = packed.bytes.size();
    pack_segment(source, s.k_begin, {s.format, arithmetic, panel.rows, s.k_end - s.k_begin, s.keep, s.group},
                 packed.bytes);
    s.bytes = packed.bytes.size() - s.offset;
  }
  // Panels start at cache lines, so that no two workers read the same one.
  packed.bytes.resize(formats::round_up(packed.bytes.size(), 64));
  return packed;
}

}  // namespace

PackingLayout uniform_layout(std::int64_t rows, std::int64_t cols, int panel_rows,
                             kernels::Arithmetic arithmetic, Format format, int keep, int group) {
  PackingLayout layout{arithmetic, {}};
  for (std::int64_t row = 0; row < rows; row += panel_rows) {
    const int here = static_cast<int>(std::min<std::int64_t>(panel_rows, rows - row));
    layout.panels.push_back({row, here, {{format, 0, cols, 0, 0, keep, group}}});
  }
  return layout;
}

Packing pack_layout(const MatrixView& weight, DType plan_dtype, std::span<const std::int32_t> row_order,
                    const PackingLayout& layout, int threads, std::int64_t& kept) {
  Packing packing{static_cast<PlanArithmetic>(layout.arithmetic), layout.panels, {}};
  std::vector<std::byte> data;
  kept = 0;
  const std::size_t wave = static_cast<std::size_t>(std::max(1, threads));
  for (std::size_t first = 0; first < packing.panels.size(); first += wave) {
    const std::size_t here = std::min(wave, packing.panels.size() - first);
    std::vector<PackedPanel> packed(here);
    std::exception_ptr failure;
#pragma omp parallel for num_threads(static_cast <int>(here)) schedule(static, 1)
    for (std::size_t p = 0; p < here; ++p) {
      try {
        packed[p] = pack_panel(weight, plan_dtype, row_order, packing.panels[first + p], layout.arithmetic);
      } catch (...) {
#pragma omp critical
        failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
    if (first == 0 && packing.panels.size() > here) {
      // One allocation instead of doublings, which would hold the output twice.
      data.reserve(packed[0].bytes.size() * (packing.panels.size() + 1) * 17 / 16 +
                   formats::segment_overread);
      base::prefer_huge_pages(data.data(), data.capacity());
    }
    for (std::size_t p = 0; p < here; ++p) {
      for (Segment& s : packing.panels[first + p].segments) s.offset += data.size();
      data.insert(data.end(), packed[p].bytes.begin(), packed[p].bytes.end());
      kept += packed[p].kept;
    }
  }
  data.resize(data.size() + formats::segment_overread);
  packing.data = Blob::own(std::move(data));
  return packing;
}

Packing pack_dense(const MatrixView& weight, DType plan_dtype, kernels::Arithmetic arithmetic,
                   std::int64_t& kept) {
  std::vector<std::byte> data(
      formats::round_up(static_cast<std::size_t>(weight.elements()) * size_of(plan_dtype), 64) +
      formats::segment_overread);
  std::byte* to = data.data();
  kept = 0;
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    const std::int32_t index = static_cast<std::int32_t>(row);
    const PanelSource source(weight, plan_dtype, {&index, 1});
    const auto bytes = static_cast<std::size_t>(weight.cols) * size_of(plan_dtype);
    const void* from =
        plan_dtype == DType::fp32 ? static_cast<const void*>(source.fp32_row(0)) : source.bf16_row(0);
    std::memcpy(to, from, bytes);
    to += bytes;
    kept += source.kept(0, weight.cols);
  }
  Packing packing{static_cast<PlanArithmetic>(arithmetic), {}, {}};
  packing.data = Blob::own(std::move(data));
  return packing;
}

int panel_rows_for(std::int64_t rows, int threads) {
  constexpr int most = 256;
  constexpr int panels_per_worker = 3;
  const std::int64_t share = rows / (static_cast<std::int64_t>(threads) * panels_per_worker);
  return static_cast<int>(std::clamp<std::int64_t>((share + 15) / 16 * 16, 16, most));
}

}  // namespace cross::compiler
