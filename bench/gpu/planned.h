// What `compile` chooses for one weight at one token count.
#pragma once

#include <string>

#include "cross/profile.h"
#include "driver/cuda/family.h"
#include "gpu/weights.h"

namespace cross_bench {

/// A plan for one token count. @param measure false: prices alone decide; @param threads of the packers
cross::LayerPlan planned(const Weight& weight, std::int64_t tokens, const cross::CostProfile& profile,
                         const cross::driver::cuda::Target& target, bool measure, int threads);
/// How it runs so many tokens, as contests call it: "dense", "two_four", "prefill two_four", "cusparselt
/// two_four".
std::string way_of(const cross::LayerPlan& plan, std::int64_t tokens);

}  // namespace cross_bench
