// NumPy arrays: activations of the command line, and weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/zeroed_buffer.h"
#include "io/npy_header.h"

namespace cross::io {

/// X[rows, cols] in fp32, row-major.
struct FloatMatrix {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<float> values;
};

/// Reads a 2-D array of float32 or float16 (widened exactly); a 1-D array is one row. Any byte order, C or
/// Fortran order. Throws UsageError if there is no file at `path`, InputError for anything else that is
/// wrong.
FloatMatrix read_npy(const std::filesystem::path& path);
FloatMatrix read_npy(std::span<const std::byte> file, const std::string& name);

/// Writes X[rows, cols] as float32 in C order; the file is complete or absent. Throws InputError if it cannot
/// be written, InternalError if the number of values is not rows · cols.
void write_npy(const std::filesystem::path& path, std::int64_t rows, std::int64_t cols,
               std::span<const float> values);

/// The elements of a 2-D array in C order and little-endian, in their own type.
base::ZeroedBuffer in_c_order(const NpyArray& array);

}  // namespace cross::io
