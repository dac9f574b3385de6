// Compiled for avx2 only: nothing here may be called before the CPU was checked.
#include "kernels/cpu/kernel_rows.h"
#include "kernels/cpu/peak.h"
#include "kernels/cpu/simd_avx2.h"

namespace cross::kernels {
namespace {

using avx2::Simd;
constexpr auto fp32 = kernel_rows<Simd, Fp32Arithmetic<Simd>>(Arithmetic::fp32, Isa::avx2);
constexpr auto widened = kernel_rows<Simd, WidenedArithmetic<Simd>>(Arithmetic::bf16_widened, Isa::avx2);

constexpr auto rows = [] {
  std::array<Kernel, fp32.size() + widened.size()> all{};
  for (std::size_t i = 0; i < fp32.size(); ++i) all[i] = fp32[i];
  for (std::size_t i = 0; i < widened.size(); ++i) all[fp32.size() + i] = widened[i];
  return all;
}();

}  // namespace

std::span<const Kernel> avx2_kernels() { return rows; }
PeakFunction avx2_peak() { return fma_burst<Simd>; }

}  // namespace cross::kernels
