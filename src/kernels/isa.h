// Instruction sets of the CPU in use.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cross::kernels {

/// Ordered: each includes those before it. avx512 is F, BW, DQ, VL; avx512_bf16 adds AVX512_BF16 and
/// AVX512_VBMI2.
enum class Isa { scalar, avx2, avx512, avx512_bf16 };

inline constexpr Isa all_isas[] = {Isa::scalar, Isa::avx2, Isa::avx512, Isa::avx512_bf16};

std::string_view name_of(Isa isa);
std::optional<Isa> isa_from_name(std::string_view name);

/// The best ISA that this CPU and this build support.
Isa detected_isa();

/// detected_isa(), lowered by the environment variable CROSS_ISA if that names a lower one (for tests and for
/// comparing). Throws UsageError if CROSS_ISA is not a name, DeviceError if it asks for more than the CPU
/// has.
Isa active_isa();

/// Marketing name of the CPU and its features, e.g. for profile keys: "AMD EPYC 7763 64-Core Processor".
std::string cpu_name();

/// Bytes of the largest cache level, or a cautious default where the system does not say.
std::size_t last_level_cache_bytes();

}  // namespace cross::kernels
