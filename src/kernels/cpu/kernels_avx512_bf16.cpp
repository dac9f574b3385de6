// Compiled for AVX-512 with BF16 and VBMI2 only: nothing here may be called before the CPU was checked.
#include "kernels/cpu/bf16_pair_avx512.h"
#include "kernels/cpu/kernel_rows.h"

namespace cross::kernels {
namespace {

constexpr auto rows =
    kernel_rows<avx512::Simd, avx512::PairArithmetic>(Arithmetic::bf16_pair, Isa::avx512_bf16);

}  // namespace

std::span<const Kernel> avx512_bf16_kernels() { return rows; }

}  // namespace cross::kernels
