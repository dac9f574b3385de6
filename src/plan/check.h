// Checks that a loaded plan can be executed without touching a byte outside its data.
#pragma once

#include <string>

#include "cross/plan.h"

namespace cross::plan_file {

/// Panels tile the rows, segments stand in order inside the data, packed bytes are well-formed, schedules run
/// every panel of every item exactly once, row orders are permutations. InputError naming `file`, layer and
/// field.
void check_plan(const Plan& plan, const std::string& file);

}  // namespace cross::plan_file
