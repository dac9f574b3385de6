#include "compiler/cost/price.h"

#include <fmt/format.h>

#include "kernels/table.h"

namespace cross::compiler {

std::string price_name(Format format, std::string_view shape) {
  return fmt::format("{}.{}", name_of(format), shape);
}

std::optional<double> kernel_price(const CostProfile& profile, Format format, std::string_view shape,
                                   kernels::Arithmetic arithmetic, double density, std::int64_t tokens) {
  const std::string name = price_name(format, shape);
  auto price = profile.price(name, kernels::name_of(arithmetic), density, tokens);
  if (!price && arithmetic == kernels::Arithmetic::bf16_pair)
    price = profile.price(name, kernels::name_of(kernels::Arithmetic::bf16_widened), density, tokens);
  return price;
}

double price_density(const BlockCounts& counts, std::size_t block, std::int64_t area, Format format) {
  const auto positions = static_cast<double>(area);
  const double per_element = kernels::columns_per_element(counts.arithmetic);
  switch (format) {
    case Format::index8:
      return static_cast<double>(counts.elements[block]) * per_element / positions;
    case Format::block:
      return static_cast<double>(counts.vectors[block]) * per_element * kernels::interleaved_rows / positions;
    case Format::bitmap:
    case Format::n_m:
      return static_cast<double>(counts.nnz[block]) / positions;
    case Format::dense:
    case Format::dense_panel:
    case Format::empty:
    case Format::delta4:
    case Format::delta8:
    case Format::bitmap_planes:
    case Format::two_four:
    case Format::cross_panels:
    case Format::block_tiles:
    case Format::split_blocks:
    case Format::two_four_overflow:
    case Format::column_vectors:
    case Format::row_lists:
      break;
  }
  return 1.0;
}

double block_price(const CostProfile& profile, const BlockCounts& counts, std::int64_t grid_row,
                   std::int64_t grid_col, Format format, std::string_view shape, std::int64_t tokens) {
  if (format == Format::empty) return 0.0;
  const std::int64_t area = counts.rows_of(grid_row) * counts.cols_of(grid_col);
  const double density = price_density(counts, counts.at(grid_row, grid_col), area, format);
  const auto price = kernel_price(profile, format, shape, counts.arithmetic, density, tokens);
  return price ? *price * static_cast<double>(area) : not_available;
}

std::vector<double> panel_prices_of(const CostProfile& profile, const BlockCounts& counts,
                                    const PackingLayout& layout, std::string_view shape,
                                    std::int64_t tokens) {
  std::vector<double> prices;
  for (std::size_t p = 0; p < layout.panels.size(); ++p) {
    double sum = 0;
    for (const cross::Segment& segment : layout.panels[p].segments)
      for (std::int64_t k = segment.k_begin; k < segment.k_end; k += counts.block_cols)
        sum += block_price(profile, counts, static_cast<std::int64_t>(p), k / counts.block_cols,
                           segment.format, shape, tokens);
    prices.push_back(sum);
  }
  return prices;
}

PriceGrid price_grid(const CostProfile& profile, const BlockCounts& counts,
                     const std::vector<Format>& formats, const std::vector<std::int64_t>& tokens) {
  PriceGrid grid;
  grid.rows = counts.grid_rows;
  grid.cols = counts.grid_cols;
  grid.candidates = static_cast<int>(formats.size());
  grid.nnz = counts.nnz;
  // A token count's weight is one over its dense price: ten times the tokens must not count ten times.
  std::vector<double> weight;
  for (const std::int64_t t : tokens) {
    const auto dense = kernel_price(profile, Format::dense_panel, "tile", counts.arithmetic, 1.0, t);
    weight.push_back(dense && *dense > 0 ? 1.0 / *dense : 1.0 / static_cast<double>(t));
  }
  const auto summed = [&](std::int64_t r, std::int64_t c, Format format) {
    double sum = 0;
    for (std::size_t t = 0; t < tokens.size(); ++t)
      sum += weight[t] * block_price(profile, counts, r, c, format, "tile", tokens[t]);
    return sum;
  };
  for (std::int64_t r = 0; r < grid.rows; ++r)
    for (std::int64_t c = 0; c < grid.cols; ++c) {
      grid.dense.push_back(summed(r, c, Format::dense_panel));
      for (const Format format : formats) grid.sparse.push_back(summed(r, c, format));
    }
  return grid;
}

}  // namespace cross::compiler
