// What surrounds a product on the CPU: activations in, epilogue out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cross/dtype.h"
#include "cross/epilogue.h"
#include "kernels/kernel.h"

namespace cross::kernels {

/// Packs columns [k_begin, k_end) of tokens [0, tokens) for tile kernels:
/// out[e, t] = X[t, e] for tokens below `tokens`, zero for the others up to `width`. With bf16_pair an
/// element is two neighbouring columns (zero past the last column).
struct PackTileArgs {
  const std::byte* x;  ///< first token of the tile, row-major [tokens][columns]
  std::int64_t row_bytes;
  Arithmetic arithmetic;
  int tokens;
  int width;  ///< tokens rounded up to the tile's vectors
  std::int64_t columns;
  std::int64_t element_begin;  ///< multiple of 8
  std::int64_t element_end;    ///< may lie past the last column: the rest is zeros
  std::byte* out;              ///< element 0 of the tile
};
/// Returns false if any activation is Inf or NaN (the caller then takes the path that skips pruned positions
/// exactly).
using PackTileFunction = bool (*)(const PackTileArgs&);

/// Copies one token for dot kernels: widened to fp32 or kept as bf16, zero-padded to `padded` columns.
struct PackDotArgs {
  const std::byte* x;
  Arithmetic arithmetic;
  std::int64_t columns;
  std::int64_t padded;
  std::byte* out;
};
using PackDotFunction = bool (*)(const PackDotArgs&);

/// y[t, m] = activation(acc + bias[m]) + residual[t, m] for one panel, cast to the output type.
struct EpilogueArgs {
  const float* acc;         ///< value of row r and token t at acc[r * row_stride + t * token_stride]
  std::int64_t row_stride;  ///< one of the strides is 1
  std::int64_t token_stride;
  int rows;
  int tokens;
  Activation activation;
  const float* bias;          ///< [rows], or nullptr
  const std::byte* residual;  ///< same layout and type as y, or nullptr
  std::byte* y;               ///< token 0, row 0 of the whole layer
  std::int64_t y_stride;      ///< elements between tokens
  DType y_dtype;              ///< fp32 or bf16
  std::int64_t first_row;     ///< output column of panel row 0, when row_map is nullptr
  /// Row reordering is undone here, in one of two ways, or both are nullptr.
  const std::int32_t* row_map = nullptr;  ///< output column of every row: values are stored one by one
  const std::int32_t* acc_rows =
      nullptr;  ///< row of acc that every row reads (tokens contiguous only): vectors
};
using EpilogueFunction = void (*)(const EpilogueArgs&);

/// The results of one panel for one tile of tokens become packed activations of the next product, without a
/// detour over y; `out` as in PackTileArgs, with values rounded to the plan's type as if they had been
/// stored. For row r and its output column c:
///
///     out[element of c, t] = activation(acc[r, t] + bias[r])
struct PackRowsArgs {
  const float* acc;  ///< [rows][width], 64-byte aligned
  int rows;
  int width;                    ///< tokens, rounded up to the tile's vectors: all of them are packed
  std::int64_t first_row;       ///< output column of row 0, when row_map is nullptr
  const std::int32_t* row_map;  ///< output column of every row, or nullptr
  Activation activation;
  const float* bias;  ///< [rows], or nullptr
  Arithmetic arithmetic;
  std::byte* out;  ///< element 0; slots of other columns, and their halves, stay as they are
};
/// Returns false if any value is Inf or NaN.
using PackRowsFunction = bool (*)(const PackRowsArgs&);

/// Whether none of `count` fp32 or bf16 values is Inf or NaN.
using AllFiniteFunction = bool (*)(const std::byte* x, std::int64_t count, DType dtype);

struct ActivationKernels {
  PackTileFunction pack_tile;
  PackDotFunction pack_dot;
  EpilogueFunction epilogue;
  PackRowsFunction pack_rows;
  AllFiniteFunction all_finite;
};

extern const ActivationKernels scalar_activations;
extern const ActivationKernels avx2_activations;

/// Parts of avx2_activations.
void avx2_epilogue(const EpilogueArgs& args);
bool avx2_pack_rows(const PackRowsArgs& args);

}  // namespace cross::kernels
