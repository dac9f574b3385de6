// The header of a .npy file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cross::io {

/// An array in a .npy file as it lies there. Format versions 1, 2 and 3:
/// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
struct NpyArray {
  bool half = false;        ///< fp16; otherwise fp32
  bool big_endian = false;  ///< bytes of each element
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  ///< a slice of the file
};

/// Parses and checks a whole file that lies in memory (which must outlive the result). Throws InputError,
/// naming `name`, for damaged files and for element types other than float32 and float16.
NpyArray read_npy_header(std::span<const std::byte> file, const std::string& name);

}  // namespace cross::io
