#include "report/heat_map.h"

#include <algorithm>
#include <cmath>

namespace cross::report {
namespace {

/// From dark violet to light yellow: lightness rises evenly, so the order shows without colour vision, too.
constexpr Color stops[] = {{38, 22, 82},   {88, 33, 127},   {150, 44, 128}, {211, 67, 110},
                           {244, 118, 92}, {253, 183, 110}, {252, 243, 178}};

constexpr std::uint8_t mix(std::uint8_t a, std::uint8_t b, double share) {
  return static_cast<std::uint8_t>(a + (b - a) * share + 0.5);
}

constexpr std::array<Color, heat_steps + 1> make_colors() {
  std::array<Color, heat_steps + 1> colors{};
  for (int i = 0; i < heat_steps; ++i) {
    const double at = static_cast<double>(i) / (heat_steps - 1) * (std::size(stops) - 1);
    const auto low = std::min(static_cast<std::size_t>(at), std::size(stops) - 2);
    const double share = at - static_cast<double>(low);
    const Color &a = stops[low], &b = stops[low + 1];
    colors[static_cast<std::size_t>(i) + 1] = {mix(a.red, b.red, share), mix(a.green, b.green, share),
                                               mix(a.blue, b.blue, share)};
  }
  return colors;
}

}  // namespace

const std::array<Color, heat_steps + 1> heat_colors = make_colors();

std::uint8_t heat_step(double density, double most) {
  if (!(density > 0)) return 0;
  const int step = static_cast<int>(std::ceil(density / most * heat_steps - 1e-6));
  return static_cast<std::uint8_t>(std::clamp(step, 1, heat_steps));
}

IndexedImage heat_image(const DensityGrid& grid, double most) {
  IndexedImage image{static_cast<int>(grid.cols), static_cast<int>(grid.rows), {}};
  image.pixels.reserve(grid.density.size());
  for (const float density : grid.density) image.pixels.push_back(heat_step(density, most));
  return image;
}

double heat_scale(const Report& report) {
  double most = 0;
  for (const LayerReport& layer : report.layers)
    for (const DensityGrid* grid : {&layer.as_stored, &layer.as_packed})
      for (const float density : grid->density) most = std::max(most, static_cast<double>(density));
  return std::max(0.1, std::ceil(10 * most - 1e-6) / 10);
}

}  // namespace cross::report
