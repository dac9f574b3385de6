#include "io/npy.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <string_view>

#include "base/atomic_file.h"
#include "base/mapped_file.h"
#include "cross/dtype.h"
#include "cross/error.h"

namespace cross::io {

base::ZeroedBuffer in_c_order(const NpyArray& array) {
  const std::size_t element = array.half ? 2 : 4;
  const auto rows = static_cast<std::size_t>(array.shape.at(0));
  const auto cols = static_cast<std::size_t>(array.shape.at(1));
  base::ZeroedBuffer out(array.bytes.size());
  if (array.bytes.empty()) return out;  // rows or cols may be huge beside a zero
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < cols; ++c) {
      const std::byte* from =
          array.bytes.data() + element * (array.fortran_order ? c * rows + r : r * cols + c);
      std::byte* to = out.data() + element * (r * cols + c);
      for (std::size_t b = 0; b < element; ++b) to[b] = from[array.big_endian ? element - 1 - b : b];
    }
  return out;
}

FloatMatrix read_npy(std::span<const std::byte> file, const std::string& name) {
  NpyArray array = read_npy_header(file, name);
  if (array.shape.size() == 1) {
    array.shape.insert(array.shape.begin(), 1);
    array.fortran_order = false;
  }
  if (array.shape.size() != 2)
    throw InputError(fmt::format("{}: the array has {} dimensions; it must have 2, [rows, cols]", name,
                                 array.shape.size()));
  FloatMatrix matrix{array.shape[0], array.shape[1], {}};
  base::ZeroedBuffer reordered;
  if (array.fortran_order || array.big_endian) {
    reordered = in_c_order(array);
    array.bytes = reordered.bytes();
  }
  matrix.values.resize(array.bytes.size() / (array.half ? 2 : 4));
  if (array.half) {
    for (std::size_t i = 0; i < matrix.values.size(); ++i) {
      std::uint16_t bits;
      std::memcpy(&bits, array.bytes.data() + i * sizeof bits, sizeof bits);
      matrix.values[i] = float_from_fp16(bits);
    }
  } else if (!array.bytes.empty()) {
    std::memcpy(matrix.values.data(), array.bytes.data(), array.bytes.size());
  }
  return matrix;
}

FloatMatrix read_npy(const std::filesystem::path& path) {
  const base::MappedFile file(path);
  return read_npy(file.bytes(), path.string());
}

void write_npy(const std::filesystem::path& path, std::int64_t rows, std::int64_t cols,
               std::span<const float> values) {
  if (rows < 0 || cols < 0 ||
      values.size() != static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols))
    throw InternalError(fmt::format("write_npy: {} values for {} x {}", values.size(), rows, cols));
  constexpr std::size_t preamble = 10;
  constexpr std::size_t alignment = 64;  // as numpy does, so that the data can be mapped
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, cols);
  header.append(alignment - 1 - (preamble + header.size()) % alignment, ' ');
  header += '\n';
  base::AtomicFile file(path);
  const std::array<char, 4> version_and_length{1, 0, static_cast<char>(header.size() & 0xff),
                                               static_cast<char>(header.size() >> 8)};
  file.write("\x93NUMPY");
  file.write(std::string_view(version_and_length.data(), version_and_length.size()));
  file.write(header);
  file.write(std::as_bytes(values));
  file.commit();
}

}  // namespace cross::io
