#include "gpu/cross_runs.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "gpu/packed_forms.h"

namespace cross_bench {

CrossForm pack_cross(const Weight& weight, const cross::cuda::DeviceInfo& device, std::string name,
                     const cross::compiler::CrossPanelsOptions& options, std::int64_t tokens, int threads) {
  CrossForm form{std::move(name), {}, {}};
  std::int64_t kept = 0;
  cross::compiler::GpuTarget target{device.sms, device.shared_bytes, tokens};
  target.cross = options;
  std::vector<std::byte> blob =
      cross::compiler::pack_cross_panels(weight.view(), target, threads, kept, &form.decision);
  form.plan = layer_of(weight, cross::Format::cross_panels, std::move(blob), kept, tokens);
  return form;
}

Weight sorted_weight(const Weight& weight, bool rows, bool cols) {
  const cross::MatrixView from = weight.view();
  std::vector<std::int64_t> in_row(static_cast<std::size_t>(from.rows)),
      in_col(static_cast<std::size_t>(from.cols));
  for (std::int64_t r = 0; r < from.rows; ++r)
    for (std::int64_t c = 0; c < from.cols; ++c)
      if (from.bits(r, c) != 0) {
        ++in_row[static_cast<std::size_t>(r)];
        ++in_col[static_cast<std::size_t>(c)];
      }
  const auto order = [](const std::vector<std::int64_t>& counts, bool sort) {
    std::vector<std::int64_t> indices(counts.size());
    std::iota(indices.begin(), indices.end(), 0);
    if (sort)
      std::stable_sort(indices.begin(), indices.end(), [&](std::int64_t a, std::int64_t b) {
        return counts[static_cast<std::size_t>(a)] > counts[static_cast<std::size_t>(b)];
      });
    return indices;
  };
  const auto row_at = order(in_row, rows), col_at = order(in_col, cols);
  const std::size_t size = size_of(weight.dtype);
  Weight sorted{weight.dtype, weight.shape, std::vector<std::byte>(weight.bytes.size())};
  for (std::int64_t r = 0; r < from.rows; ++r)
    for (std::int64_t c = 0; c < from.cols; ++c)
      std::memcpy(sorted.bytes.data() + static_cast<std::size_t>(r * from.cols + c) * size,
                  from.row(row_at[static_cast<std::size_t>(r)]) +
                      static_cast<std::size_t>(col_at[static_cast<std::size_t>(c)]) * size,
                  size);
  return sorted;
}

}  // namespace cross_bench
