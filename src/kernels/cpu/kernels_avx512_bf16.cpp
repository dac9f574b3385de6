// Compiled for AVX-512 with BF16 and VBMI2 only: nothing here may be called before the CPU was checked.
#include "kernels/cpu/bf16_pair_avx512.h"
#include "kernels/cpu/index8_columns_avx512.h"
#include "kernels/cpu/kernel_rows.h"

namespace cross::kernels {
namespace {

constexpr auto pairs =
    kernel_rows<avx512::Simd, avx512::PairArithmetic>(Arithmetic::bf16_pair, Isa::avx512_bf16);

constexpr auto rows = [] {
  std::array<Kernel, pairs.size() + 1> all{};
  for (std::size_t i = 0; i < pairs.size(); ++i) all[i] = pairs[i];
  all.back() = {"dot",
                Format::index8,
                Arithmetic::bf16_widened,
                Isa::avx512_bf16,
                avx512::Simd::lanes,
                nullptr,
                avx512::index8_columns_dot};
  return all;
}();

}  // namespace

std::span<const Kernel> avx512_bf16_kernels() { return rows; }

}  // namespace cross::kernels
