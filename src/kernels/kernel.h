// The calling convention of CPU kernels: raw pointers and sizes, nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cross::kernels {

/// How one packed *element* along K multiplies: an element is one 4-byte slot of the packed activations.
enum class Arithmetic : std::uint8_t {
  fp32,          ///< fp32 weight × fp32 activation
  bf16_widened,  ///< bf16 weight widened to fp32 × fp32 activation (bf16 widened when packed): any CPU
  bf16_pair,     ///< two neighbouring bf16 weights · two bf16 activations by vdpbf16ps: AVX512_BF16
};

/// K columns that one element covers.
constexpr int columns_per_element(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::bf16_pair ? 2 : 1;
}

/// Elements of a K block: the extent that an 8-bit offset addresses and that keeps the slice of X in L1
/// (128 elements × 64 tokens × 4 bytes = 32 KiB). Measured on Zen 3: 128 beats 64 and 256 at every density.
inline constexpr int k_block_elements = 128;

/// Rows that `dense_panel` and `block` interleave: four rows share one load of X.
inline constexpr int interleaved_rows = 4;

/// Widest token tile, in tokens, for every ISA.
inline constexpr int max_tile_tokens = 64;

/// Bytes that a kernel may read past the end of a packed segment (vector loads of the last values).
inline constexpr std::size_t segment_overread = 64;

/// One chunk of a *tile* kernel: acc[r, t] += Σ_e W[r, e] · X[e, t].
struct TileArgs {
  const std::byte* chunk;  ///< packed weights, layout of the format
  int rows;                ///< rows of the panel
  int elements;            ///< elements along K that this chunk covers
  const std::byte* x;      ///< [elements][vectors · lanes] 4-byte slots, 64-byte aligned
  float* acc;              ///< [rows][vectors · lanes], 64-byte aligned
  int vectors;             ///< token tile in vectors, one of the kernel's `tile_vectors`
};

/// Returns the first byte after the chunk, which is where the next K block's chunk starts.
using TileFunction = const std::byte* (*)(const TileArgs&);

/// One segment of a *dot* kernel (few tokens, lanes along K): acc[n, r] += Σ_k W[r, k] · x[n, k].
struct DotArgs {
  const std::byte* segment;
  int rows;
  int columns;  ///< columns of the segment
  const std::byte*
      x;  ///< [tokens][x_stride] fp32 or bf16 (bf16_pair), zero-padded to a multiple of 64 columns
  std::int64_t x_stride;  ///< in columns
  int tokens;             ///< 1 … max_dot_tokens
  float* acc;             ///< [tokens][acc_stride]
  std::int64_t acc_stride;
};

using DotFunction = void (*)(const DotArgs&);

/// More tokens than this are cheaper with lanes along tokens on every CPU measured.
inline constexpr int max_dot_tokens = 8;

}  // namespace cross::kernels
