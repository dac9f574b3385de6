// Prices of blocks and of whole layouts, from a profile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compiler/cost/block_counts.h"
#include "compiler/pack/layout.h"
#include "compiler/partition/partition.h"
#include "cross/profile.h"

namespace cross::compiler {

/// "index8.tile": how profiles name kernels.
std::string price_name(Format format, std::string_view shape);

/// Curves are kept per arithmetic; a profile of a CPU without native bf16 prices bf16_pair as bf16_widened.
std::optional<double> kernel_price(const CostProfile& profile, Format format, std::string_view shape,
                                   kernels::Arithmetic arithmetic, double density, std::int64_t tokens);

/// Density that the price of `format` depends on, for one block: kept elements, vectors or columns per slot.
double price_density(const BlockCounts& counts, std::size_t block, std::int64_t area, Format format);

/// ns of wall time for one block (all workers busy); not_available without a curve.
double block_price(const CostProfile& profile, const BlockCounts& counts, std::int64_t grid_row,
                   std::int64_t grid_col, Format format, std::string_view shape, std::int64_t tokens);

/// ns per panel of a layout whose panels are the grid's rows.
std::vector<double> panel_prices_of(const CostProfile& profile, const BlockCounts& counts,
                                    const PackingLayout& layout, std::string_view shape, std::int64_t tokens);

/// Prices of every block for the partition stage: dense is our dense panel, the sparse candidates are
/// `formats`, both as tile kernels summed over the token counts, each weighted so that every count matters
/// alike.
PriceGrid price_grid(const CostProfile& profile, const BlockCounts& counts,
                     const std::vector<Format>& formats, const std::vector<std::int64_t>& tokens);

}  // namespace cross::compiler
