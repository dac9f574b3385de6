// Matrix Market files (.mtx).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "io/dense_builder.h"

namespace cross::io {

/// Reads `matrix coordinate real|integer|pattern` and `matrix array real|integer`, each general, symmetric or
/// skew-symmetric, as a dense fp32 matrix. Format: https://math.nist.gov/MatrixMarket/formats.html. Values of
/// a pattern are as for .smtx, in the order of the file; a mirrored value equals its original. Throws
/// InputError for anything else, complex and hermitian matrices included.
DenseMatrix read_matrix_market(std::span<const std::byte> file, const std::string& name, std::uint64_t seed,
                               std::uint64_t most_bytes = largest_dense_bytes);

}  // namespace cross::io
