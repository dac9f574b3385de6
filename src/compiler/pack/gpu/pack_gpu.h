// pack for the CUDA device family: a weight matrix → one blob (plan/formats/gpu/packed.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cross/dtype.h"
#include "cross/format.h"
#include "cross/matrix.h"

namespace cross::compiler {

/// Clocks of an SM for one token tile of 128 tokens, measured (docs/gpu/cross_panels.md).
struct CrossPrices {
  double tensor_half = 1300.0;   ///< one half (64 rows) of a tensor step
  double gather_weight = 16.0;   ///< one kept weight on CUDA cores that work alone, filling included
  double gather_chunk = 1000.0;  ///< what a chunk costs besides
  double dense_slowdown = 1.25, sparse_slowdown = 2.0;  ///< while the other unit works too
  double piece = 3000.0;                                ///< writing out a piece's sums
  /// Both units only where that gains this share: x has to be stored for CUDA cores too.
  double least_gain = 0.3;
};

/// How cross_panels shares its blocks; the defaults are what a plan wants, the others are for measuring what
/// each decision is worth.
struct CrossPanelsOptions {
  enum class Units : std::uint8_t { balanced, all_tensor, all_gather, bands_only, fraction };
  enum class Policy : std::uint8_t { automatic, same, paired, longest_first, even_cut };
  Units units = Units::balanced;
  Policy policy = Policy::automatic;
  double gather_fraction = 0.0;  ///< Units::fraction: this share of the blocks goes to CUDA cores
  CrossPrices prices = {};       ///< a profile's, where it has them
};

/// What packing must know of the GPU: work is dealt to its SMs when it is packed.
struct GpuTarget {
  int sms = 132;
  std::size_t shared_bytes = 232448;  ///< per block, the opt-in limit
  /// Token count that must run from the packed copy: more tokens need more of X in shared memory, hence more
  /// K groups and partial sums.
  std::int64_t tokens = 8;
  CrossPanelsOptions cross = {};
};

/// Why `format` cannot hold the matrix, or empty. 2:4 needs its pattern; all need rows, cols ≥ 1.
std::string gpu_format_refuses(const MatrixView& weight, DType plan_dtype, Format format);

/// The share of all blocks of 64x64 that keep anything: block_tiles stores those, as dense ones, and its time
/// depends on them alone.
double block_tiles_density(const MatrixView& weight, DType plan_dtype, int threads);
/// Where more of them keep something it does not pay: it loses to dense from about a half on.
inline constexpr double block_tiles_most = 0.6;

/// Further stages of two_four_overflow, as a share of those that 2:4 weights have: 0 to 1 for large matrices.
/// Its time grows with that alone.
double two_four_overflow_overhead(const MatrixView& weight, DType plan_dtype, int threads);
/// Where there are more it does not pay: i.i.d. masks have 0.22 at 85 % sparsity, 0.33 at 80 %.
inline constexpr double two_four_overflow_most = 0.35;

/// The share of all columns of 16 rows that keep anything: what column_vectors multiplies, and its time
/// depends on. Scans the weights once and packs nothing.
double column_vectors_density(const MatrixView& weight, DType plan_dtype, int threads);
/// Where more of them keep something it loses to dense at most sizes. I.i.d. masks of 98 % have 27.6 %: there
/// large matrices gain a sixth at many tokens (H200).
inline constexpr double column_vectors_most = 0.28;

/// Entries of row_lists, filling included, as a share of all positions: what it multiplies, and its time
/// depends on. Scans the weights and packs nothing.
double row_lists_density(const MatrixView& weight, int threads);
/// Where there are more, tensor cores are faster at every size (split_blocks, H200).
inline constexpr double row_lists_most = 0.35;

struct CrossDecision;

/// Packs the weights, rounded to `plan_dtype`, with work dealt to `target`. Deterministic.
/// @param kept  receives the number of kept weights
/// @param decision  receives what cross_panels decided; other formats leave it alone
std::vector<std::byte> pack_gpu(const MatrixView& weight, DType plan_dtype, Format format,
                                const GpuTarget& target, int threads, std::int64_t& kept,
                                CrossDecision* decision = nullptr);

}  // namespace cross::compiler
