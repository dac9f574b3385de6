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

namespace {

/// The GPU of the same name, else of the same compute capability, else any: rankings differ less than times.
CostProfile shipped_gpu_profile(const ProfileKey& machine) {
  std::optional<CostProfile> best;
  const auto likeness = [&](const ProfileKey& key) {
    return (key.name == machine.name ? 2 : 0) + (key.isa == machine.isa ? 1 : 0);
  };
  for (std::size_t i = 0; i < shipped_profile_count; ++i) {
    CostProfile profile = CostProfile::parse(shipped_profile_texts[i], fmt::format("shipped profile {}", i));
    if (profile.key.device != machine.device) continue;
    if (!best || likeness(profile.key) > likeness(best->key)) best = std::move(profile);
  }
  if (!best)
    throw UsageError("no shipped profile prices a GPU; measure this one: cross calibrate --device cuda");
  best->source = fmt::format(
      "shipped default, measured on {}; `cross calibrate --device cuda` measures this GPU", best->key.name);
  return *std::move(best);
}

}  // namespace

CostProfile shipped_profile(const ProfileKey& machine) {
  if (machine.device == "cuda") return shipped_gpu_profile(machine);
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
