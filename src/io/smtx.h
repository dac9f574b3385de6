// Sparsity patterns of the Deep Learning Matrix Collection (.smtx).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "io/dense_builder.h"

namespace cross::io {

/// Reads text of three lines: "rows, cols, nnz"; rows+1 row offsets; nnz column indices, zero-based, in any
/// order within a row. The format has no values: they are standard normal, none zero, in the order of the
/// file, and depend on `seed` alone. Throws InputError for anything else.
DenseMatrix read_smtx(std::span<const std::byte> file, const std::string& name, std::uint64_t seed,
                      std::uint64_t most_bytes = largest_dense_bytes);

}  // namespace cross::io
