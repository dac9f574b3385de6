#include "driver/shipped_profiles.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

#include "cross/error.h"
#include "kernels/isa.h"

namespace cross::driver {

/// Generated from profiles/*.json by the build.
extern const std::string_view shipped_profile_texts[];
extern const std::size_t shipped_profile_count;

CostProfile shipped_profile(const ProfileKey& machine) {
  const auto wanted = kernels::isa_from_name(machine.isa);
  std::optional<CostProfile> best;
  for (std::size_t i = 0; i < shipped_profile_count; ++i) {
    CostProfile profile = CostProfile::parse(shipped_profile_texts[i], fmt::format("shipped profile {}", i));
    const auto isa = kernels::isa_from_name(profile.key.isa);
    if (!isa || !wanted || *isa > *wanted) continue;
    if (!best || *isa > *kernels::isa_from_name(best->key.isa)) best = std::move(profile);
  }
  if (!best) throw InternalError(fmt::format("no shipped profile for ISA {}", machine.isa));
  best->source =
      fmt::format("shipped default, measured on {}; `cross calibrate` measures this machine", best->key.name);
  return *std::move(best);
}

}  // namespace cross::driver
