// Masks and byte planes → A fragments of mma m16n8k16, in registers (plan/formats/gpu/bitmap_planes.h).
//
// The four mask bits of a step and row, a nibble apart: t = f0 + 16 f1 + 256 f2 + 4096 f3. Then the nibbles
// of
//
//     selector = 0x110c t + 0x4444                     nibble i: (f_i ? 0 : 4) + (f_0 + … + f_(i-1))
//
// select, for a set bit, the byte of its rank among four values, and for an unset one a byte of the zero
// register. Budget: about 33 instructions for the eight weights of a lane and step; half of them (shifts,
// permutations) issue at half rate, so 4.2 clocks of an SM for 128 weights whatever the density.
#pragma once

#include "kernels/cuda/ptx.cuh"
#include "plan/formats/gpu/bitmap_planes.h"

namespace cross::kernels::cuda {

/// Factors that must come from the kernel's parameters: with constants the compiler turns multiply-adds and
/// moves into shifts of the integer unit, which is the busiest.
struct DecodeFactors {
  std::uint32_t selector = 0x110c, eight = 8, one = 1;
};

/// The values under a lane's nose: two neighbouring units of four, and the bit (8 · value) at which its next
/// one stands.
struct ValueWindow {
  std::uint32_t low0, low1, high0, high1;
  std::uint32_t next;  ///< shared-memory address of the unit after them
  std::uint32_t bit;

  /// @param values  of the block, in shared memory; first: number of the lane's first value
  __device__ __forceinline__ void open(std::uint32_t values, std::uint32_t first) {
    next = values + (first >> 2) * 8;
    bit = first * 8;
    const uint2 a = load_shared8(next), b = load_shared8(next + 8);
    low0 = a.x;
    high0 = a.y;
    low1 = b.x;
    high1 = b.y;
    next += 16;
  }

  /// The four weights of one row and step: positions 0, 1 and 2, 3 of the fragment.
  __device__ __forceinline__ void expand(std::uint32_t at, std::uint32_t selector, std::uint32_t& a01,
                                         std::uint32_t& a23) const {
    const std::uint32_t low = pick_bytes(__funnelshift_r(low0, low1, at), 0, selector);
    const std::uint32_t high = pick_bytes(__funnelshift_r(high0, high1, at), 0, selector);
    a01 = pick_bytes(low, high, 0x5140);
    a23 = pick_bytes(low, high, 0x7362);
  }

  /// Moves on from bit `from` to bit `to`, at most four values later; predicated, so that no lane waits for
  /// another.
  __device__ __forceinline__ void advance(std::uint32_t from, std::uint32_t to, const DecodeFactors& f) {
    asm volatile(
        "{\n.reg .pred q;\n.reg .b32 t;\nlop3.b32 t, %5, %6, 32, 0x28;\nsetp.ne.u32 q, t, 0;\n"
        "@q mad.lo.u32 %0, %1, %7, 0;\n@q mad.lo.u32 %2, %3, %7, 0;\n"
        "@q ld.shared.v2.b32 {%1, %3}, [%4];\n@q mad.lo.u32 %4, %8, %7, %4;\n}"
        : "+r"(low0), "+r"(low1), "+r"(high0), "+r"(high1), "+r"(next)
        : "r"(from), "r"(to), "r"(f.one), "r"(f.eight));
  }

  /// The lane's eight weights of step `s` mod 4 = j of mask word `mask`, as mma wants them.
  __device__ __forceinline__ void step(std::uint32_t mask, int j, const DecodeFactors& f,
                                       std::uint32_t (&a)[4]) {
    const std::uint32_t both = mask >> j & 0x11111111u;
    const std::uint32_t upper = both >> 16;
    const std::uint32_t middle = static_cast<std::uint32_t>(__popc(upper)) * f.eight + bit;
    const std::uint32_t end = static_cast<std::uint32_t>(__popc(both)) * f.eight + bit;
    expand(bit, upper * f.selector + 0x4444u, a[0], a[2]);
    advance(bit, middle, f);
    expand(middle, both * f.selector + 0x4444u, a[1], a[3]);
    advance(middle, end, f);
    bit = end;
  }
};

/// Opens a lane's part of the block at `block` in shared memory: its mask words, its first values.
__device__ __forceinline__ ValueWindow open_block(std::uint32_t block, int lane, std::uint32_t (&mask)[2]) {
  const uint2 m =
      load_shared8(block + formats::gpu::bitmap_planes_mask_at + static_cast<std::uint32_t>(lane) * 8);
  std::uint32_t first = load_shared_u16(block + static_cast<std::uint32_t>(lane >> 2) * 2);
  mask[0] = m.x;
  mask[1] = m.y;
  // The quad's earlier lanes.
  const int count = __popc(m.x) + __popc(m.y);
  int sum = count;
  int left = __shfl_up_sync(0xffffffffu, sum, 1, 4);
  if ((lane & 3) >= 1) sum += left;
  left = __shfl_up_sync(0xffffffffu, sum, 2, 4);
  if ((lane & 3) >= 2) sum += left;
  first += static_cast<std::uint32_t>(sum - count);
  ValueWindow window;
  window.open(block + formats::gpu::bitmap_planes_values_at, first);
  return window;
}

}  // namespace cross::kernels::cuda
