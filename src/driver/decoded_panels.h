// Row panels of a packing, decoded: what verify and the reference product read a plan's weights with.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cross/plan.h"
#include "plan/formats/decode.h"

namespace cross::driver {

/// Rows [begin, begin + rows) in packed order.
struct RowRange {
  std::int64_t begin = 0;
  int rows = 0;
};

/// Panels of a packing. A dense packing has none of its own: it is handed out in panels of 64 rows.
std::size_t panel_count(const LayerPlan& layer, const Packing& packing);
RowRange panel_rows(const LayerPlan& layer, const Packing& packing, std::size_t panel);

/// Visits every stored position of a panel; rows are relative to it, columns are those of W.
void decode_panel(const LayerPlan& layer, const Packing& packing, std::size_t panel,
                  const formats::Visitor& visit);

/// The row of W that stands at `packed_row`. Dense packings are in the order of W, whatever the layer's row
/// order.
std::int64_t source_row(const LayerPlan& layer, const Packing& packing, std::int64_t packed_row);

}  // namespace cross::driver
