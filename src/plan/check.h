// Checks that a loaded plan can be executed without touching a byte outside its data.
#pragma once

#include <cstddef>
#include <string>

#include "cross/plan.h"

namespace cross::plan_file {

/// Panels tile the rows, segments stand in order inside the data, packed bytes are well-formed, schedules run
/// every panel of every item exactly once, row orders are permutations. InputError naming `file`, layer and
/// field. Layers are checked by up to `threads` threads.
void check_plan(const Plan& plan, const std::string& file, std::size_t threads = 1);

}  // namespace cross::plan_file
