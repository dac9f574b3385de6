#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compiler/analyse/passes.h"

namespace cross::compiler {
namespace {

/// Density must vary by this share of its mean, beyond chance, before cutting or sorting can pay.
constexpr double worthwhile = 0.10;
/// Beyond this multiple of the i.i.d. variance (and beyond 3 standard errors of it) a difference is real.
constexpr double real_dispersion = 1.5;

/// Deviations of the densities of parts of a matrix from the matrix's density, against those that chance
/// gives.
class Variance {
 public:
  explicit Variance(double density) : density_(density) {}

  /// A part of `positions`; `more` is variance expected on top of that of an i.i.d. mask.
  void add(double part_density, double positions, double more = 0.0) {
    observed_ += (part_density - density_) * (part_density - density_);
    expected_ += density_ * (1.0 - density_) / positions + more;
    ++parts_;
  }
  /// Variance of one part that chance does not explain.
  double excess() const {
    return parts_ == 0 ? 0.0 : std::max(0.0, observed_ - expected_) / static_cast<double>(parts_);
  }
  double dispersion() const { return expected_ > 0.0 ? observed_ / expected_ : 1.0; }
  double variation() const { return density_ > 0.0 ? std::sqrt(excess()) / density_ : 0.0; }
  bool pays() const {
    if (parts_ < 2) return false;
    const double limit = std::max(real_dispersion, 1.0 + 3.0 * std::sqrt(2.0 / static_cast<double>(parts_)));
    return dispersion() > limit && variation() >= worthwhile;
  }

 private:
  double density_;
  double observed_ = 0.0, expected_ = 0.0;
  std::int64_t parts_ = 0;
};

}  // namespace

void judge_uniformity(MatrixAnalysis& result) {
  Variance regions(result.density), rows(result.density);
  const auto cols = static_cast<double>(result.cols);
  if (result.cols > 0) {
    for (const std::int64_t nnz : result.row_nnz) rows.add(static_cast<double>(nnz) / cols, cols);
  }
  const BlockMap& map = result.maps[1];
  for (std::int64_t r = 0; r < map.rows; ++r) {
    const auto height = static_cast<double>(std::min(map.block, map.matrix_rows - r * map.block));
    for (std::int64_t c = 0; c < map.cols; ++c) {
      regions.add(map.density(r, c), static_cast<double>(map.area(r, c)), rows.excess() / height);
    }
  }

  Uniformity& found = result.uniformity;
  found.region_dispersion = regions.dispersion();
  found.row_dispersion = rows.dispersion();
  found.region_variation = regions.variation();
  found.row_variation = rows.variation();
  found.verdict = regions.pays() ? Variation::by_region
                  : rows.pays()  ? Variation::by_row
                                 : Variation::uniform;
  const std::string numbers = fmt::format(
      "beyond chance, density varies by {:.0f} % of its mean between 64x64 blocks and by {:.0f} % between "
      "rows",
      100.0 * found.region_variation, 100.0 * found.row_variation);
  const char* meaning = "one kernel fits the whole matrix";
  if (found.verdict == Variation::by_region) meaning = "cutting it into regions can pay";
  if (found.verdict == Variation::by_row) meaning = "sorting rows by density before cutting can pay";
  found.reason = fmt::format("{}: {}", numbers, meaning);
}

}  // namespace cross::compiler
