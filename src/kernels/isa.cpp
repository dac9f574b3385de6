#include "kernels/isa.h"

#include <cpuid.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "cross/error.h"

namespace cross::kernels {

std::string_view name_of(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512_bf16:
      return "avx512_bf16";
  }
  return "?";
}

std::optional<Isa> isa_from_name(std::string_view name) {
  for (const Isa isa : all_isas)
    if (name_of(isa) == name) return isa;
  return std::nullopt;
}

namespace {

/// Clang before 15 does not know "f16c" in __builtin_cpu_supports.
[[maybe_unused]] bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

}  // namespace

Isa detected_isa() {
#ifdef CROSS_EMULATE_AVX512
  return Isa::avx512_bf16;
#else
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c()) return Isa::scalar;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
    return Isa::avx2;
  if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512vbmi2")) return Isa::avx512;
  return Isa::avx512_bf16;
#endif
}

Isa active_isa() {
  const Isa best = detected_isa();
  const char* wanted = std::getenv("CROSS_ISA");
  if (wanted == nullptr || *wanted == '\0') return best;
  const auto isa = isa_from_name(wanted);
  if (!isa)
    throw UsageError(
        fmt::format("CROSS_ISA is \"{}\"; it can be scalar, avx2, avx512 or avx512_bf16", wanted));
  if (*isa > best)
    throw DeviceError(fmt::format("CROSS_ISA asks for {}, but this CPU's best is {}", wanted, name_of(best)));
  return *isa;
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  std::string family;
  std::string name = "unknown CPU";
  const auto value_of = [](const std::string& text) {
    const auto colon = text.find(": ");
    return colon == std::string::npos ? std::string() : text.substr(colon + 2);
  };
  while (std::getline(info, line) && !line.empty()) {
    if (line.starts_with("model name")) name = value_of(line);
    // Virtual machines often hide the model name; family and model still tell the generation apart.
    if (line.starts_with("cpu family")) family = value_of(line);
    if (line.starts_with("model\t")) family = fmt::format("{}.{}", family, value_of(line));
  }
  return family.empty() ? name : fmt::format("{} (family {})", name, family);
}

std::size_t last_level_cache_bytes() {
  long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
  if (bytes <= 0) bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return bytes > 0 ? static_cast<std::size_t>(bytes) : std::size_t{32} << 20;
}

}  // namespace cross::kernels
