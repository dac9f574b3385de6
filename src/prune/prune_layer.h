// Pruning one layer with a cutoff that was found before.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "cross/prune.h"
#include "prune/cutoff.h"

namespace cross::prune_detail {

/// Units to prune out of `units`: round(sparsity · units).
std::uint64_t target_of(double sparsity, std::int64_t units);

/// The cutoff for one matrix alone. Options are checked; not for n_m.
Cutoff cutoff_of(const MatrixView& weights, const PruneOptions& options, std::string_view name);

/// Copies `weights` to `pruned` and zeroes what the cutoff (n_m: the pattern) says.
PrunedLayer apply(const MatrixView& weights, std::span<std::byte> pruned, const Pattern& pattern,
                  Cutoff& cutoff, std::string_view name);

}  // namespace cross::prune_detail
