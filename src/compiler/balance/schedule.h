// From worker balance to the schedule that a plan stores.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cross/plan.h"

namespace cross::compiler {

/// Fills the schedule of `variant` for its token count and reports what each policy would have given.
/// @param panel_ns  predicted cost of every panel for one batch item
/// @param policy    "same", "paired", "longest_first", or "auto": the least predicted imbalance, ties to the
/// simplest
LayerDecision::Balance schedule_variant(Variant& variant, std::span<const double> panel_ns, int workers,
                                        const std::string& policy);

/// The schedule that `variant` would have by the policy `same`: what balance is measured against.
std::vector<std::vector<PlanPiece>> schedule_alike(const Variant& variant, std::size_t panels);

}  // namespace cross::compiler
