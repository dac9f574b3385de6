// Unrolling of loops over registers.
#pragma once

// Loops over accumulators must be unrolled before the compiler decides what lives in registers; left to
// itself GCC 12 keeps some accumulators on the stack, at half the speed.
#ifdef __clang__
#define CROSS_UNROLL _Pragma("unroll")
#else
#define CROSS_UNROLL _Pragma("GCC unroll 16")
#endif
