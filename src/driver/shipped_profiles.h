// Profiles that come with the library, for machines that were never calibrated.
#pragma once

#include "cross/profile.h"

namespace cross::driver {

/// The shipped profile nearest to `machine`: same ISA if there is one, else the best lower ISA. Its `source`
/// says what it was measured on. For GPUs: of the same name, else compute capability, else any; UsageError if
/// none is shipped.
CostProfile shipped_profile(const ProfileKey& machine);

}  // namespace cross::driver
