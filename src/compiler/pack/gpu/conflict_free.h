// The order of weights inside the lists of delta8.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "compiler/pack/gpu/kept_rows.h"

namespace cross::compiler {

/// One list's element: the step to its column, and its value (0: only a step).
struct ListStep {
  std::int8_t delta = 0;
  std::uint16_t bits = 0;
};

/// Orders eight lists that are read in lockstep so that, as often as possible, the eight columns of one step
/// differ modulo 8; a step moves a list by at most 127 columns either way. KeptWeight::col is a position in
/// [0, extent) here.
/// @param start  receives each list's column before its first step
/// @return       the lists, all of one length
///
/// Greedy in time, optimal in each step: the eight lists are matched with the eight residues by augmenting
/// paths, each list offering its oldest unplaced weights.
std::array<std::vector<ListStep>, 8> order_phase(const std::array<std::vector<KeptWeight>, 8>& lists,
                                                 int extent, std::array<std::uint16_t, 8>& start);

}  // namespace cross::compiler
