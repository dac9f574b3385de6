// What the options mean, checked in one place.
#pragma once

#include "cross/prune.h"

namespace cross::prune_detail {

/// UsageError for options that contradict each other or lack what the pattern needs.
void check(const PruneOptions& options);

}  // namespace cross::prune_detail
