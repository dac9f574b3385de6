// The reverse of packing: a layer's weights as a dense matrix.
#pragma once

#include <cstddef>
#include <vector>

#include "cross/plan.h"

namespace cross {

/// W[rows, cols] of one packing, row-major in the plan's dtype and in the row order of the original weight;
/// pruned positions are zero bits.
std::vector<std::byte> unpack(const LayerPlan& layer, const Packing& packing, DType dtype);

/// Single rows of W, for a weight that is also a table: of a CPU plan.
class RowReader {
 public:
  /// `layer` must outlive this.
  RowReader(const LayerPlan& layer, DType dtype);

  /// Row `row` of W, [cols] in the plan's dtype. Thread-safe.
  void read(std::int64_t row, std::byte* out) const;

 private:
  const LayerPlan& layer_;
  const Packing* packing_;  ///< the dense one, if there is one
  DType dtype_;
  std::vector<std::int32_t> packed_rows_;  ///< row of W → packed row; empty when natural
};

}  // namespace cross
