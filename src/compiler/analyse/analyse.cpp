#include "compiler/analyse/occupancy.h"
#include "compiler/analyse/passes.h"
#include "cross/analysis.h"

namespace cross {

MatrixAnalysis analyse(const MatrixView& weights, const AnalyseOptions& options) {
  const compiler::Occupancy bits(weights);
  MatrixAnalysis result;
  result.plan_dtype = options.plan_dtype;
  compiler::count(bits, result);
  compiler::find_structure(bits, result);
  compiler::judge_uniformity(result);
  compiler::measure_formats(bits, result);
  return result;
}

}  // namespace cross
