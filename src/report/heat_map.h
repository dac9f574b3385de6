// Where the nonzeros of a weight matrix are, as a picture.
#pragma once

#include <array>

#include "cross/report.h"
#include "report/png.h"

namespace cross::report {

/// Colour 0 stands for blocks without any nonzero (transparent), 1 to 15 for equal steps of density.
inline constexpr int heat_steps = 15;
extern const std::array<Color, heat_steps + 1> heat_colors;

/// The colour of a density on a scale that ends with `most`.
std::uint8_t heat_step(double density, double most);

/// One pixel a block.
IndexedImage heat_image(const DensityGrid& grid, double most);

/// End of a scale that suits all grids: their largest density, rounded up to a tenth.
double heat_scale(const Report& report);

}  // namespace cross::report
