// The passes of the analysis. Each reads the occupancy and fills its part of the result.
#pragma once

#include "compiler/analyse/occupancy.h"
#include "cross/analysis.h"

namespace cross::compiler {

/// Nonzeros per row and column, their distributions, block maps. Fills nnz, density and everything counted.
void count(const Occupancy& bits, MatrixAnalysis& result);

/// keep:group, block structure, positions outside 2:4. Needs `count`.
void find_structure(const Occupancy& bits, MatrixAnalysis& result);

/// Does density vary by region or by row? Needs `count`.
void judge_uniformity(MatrixAnalysis& result);

/// Bytes of every format, the smallest, the bound. Needs `count` and `find_structure`.
void measure_formats(const Occupancy& bits, MatrixAnalysis& result);

}  // namespace cross::compiler
