#include "io/dense_builder.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "cross/error.h"
#include "cross/model.h"
#include "io/stored_type.h"

namespace cross::io {

DenseBuilder::DenseBuilder(std::int64_t rows, std::int64_t cols, const std::string& where,
                           std::uint64_t most_bytes) {
  const auto bytes = checked_bytes(StoredType::f32, std::array{rows, cols});
  if (!bytes || *bytes > most_bytes)
    throw InputError(
        fmt::format("{}: a dense {} x {} matrix of fp32 is above the limit of {} bytes for this format",
                    where, rows, cols, most_bytes));
  try {
    matrix_ = {rows, cols, base::ZeroedBuffer(*bytes)};
    placed_ = base::ZeroedBuffer(*bytes / sizeof(float) / 8 + 1);
  } catch (const std::bad_alloc&) {
    throw InputError(
        fmt::format("{}: not enough memory for a dense {} x {} matrix of fp32", where, rows, cols));
  }
}

bool DenseBuilder::place(std::int64_t r, std::int64_t c, float value) {
  const auto position = static_cast<std::size_t>(r * matrix_.cols + c);
  std::byte& mark = placed_.data()[position / 8];
  const std::byte bit{static_cast<unsigned char>(1u << (position % 8))};
  if ((mark & bit) != std::byte{0}) return false;
  mark |= bit;
  std::memcpy(matrix_.values.data() + position * sizeof value, &value, sizeof value);
  return true;
}

DenseMatrix DenseBuilder::finish() && { return std::move(matrix_); }

}  // namespace cross::io
