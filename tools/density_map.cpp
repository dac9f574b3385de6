#include "density_map.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cross/error.h"

namespace cross::cli {
namespace {

using json = nlohmann::ordered_json;

char shade(double density) {
  if (density <= 0) return '.';
  if (density >= 1) return '#';
  return static_cast<char>('0' + static_cast<int>(density * 10));
}

}  // namespace

const BlockMap& pick_map(const MatrixAnalysis& analysis, int block) {
  constexpr std::int64_t screen_columns = 100, screen_rows = 60;
  for (const BlockMap& map : analysis.maps) {
    if (block == 0 && map.cols <= screen_columns && map.rows <= screen_rows) return map;
    if (block == map.block) return map;
  }
  if (block == 0) return analysis.maps.back();
  throw UsageError(fmt::format("--map-block {} is unknown; it can be 16, 64 or 128", block));
}

std::string density_map_text(const BlockMap& map) {
  std::string text = fmt::format(
      "{}x{} in blocks of {}x{}: '.' empty, 0 to 9 density in tenths, '#' full\n"
      "density of blocks: mean {:.1f} %, from {:.1f} % to {:.1f} %, standard deviation {:.1f} %\n",
      map.matrix_rows, map.matrix_cols, map.block, map.block, 100 * map.mean, 100 * map.min, 100 * map.max,
      100 * map.stddev);
  for (std::int64_t r = 0; r < map.rows; ++r) {
    for (std::int64_t c = 0; c < map.cols; ++c) text += shade(map.density(r, c));
    text += '\n';
  }
  return text;
}

json density_map_json(const BlockMap& map) {
  json rows = json::array();
  for (std::int64_t r = 0; r < map.rows; ++r) {
    json row = json::array();
    for (std::int64_t c = 0; c < map.cols; ++c) row.push_back(map.density(r, c));
    rows.push_back(std::move(row));
  }
  return {{"m", map.matrix_rows}, {"k", map.matrix_cols}, {"block", map.block},   {"mean", map.mean},
          {"min", map.min},       {"max", map.max},       {"stddev", map.stddev}, {"density", rows}};
}

}  // namespace cross::cli
