#include "io/stored_type.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "cross/error.h"
#include "cross/model.h"

namespace cross {
namespace {

struct TypeRow {
  StoredType type;
  std::string_view name;
  std::size_t bytes;
};

constexpr std::array types{
    TypeRow{StoredType::boolean, "BOOL", 1},    TypeRow{StoredType::u8, "U8", 1},
    TypeRow{StoredType::i8, "I8", 1},           TypeRow{StoredType::f8_e5m2, "F8_E5M2", 1},
    TypeRow{StoredType::f8_e4m3, "F8_E4M3", 1}, TypeRow{StoredType::i16, "I16", 2},
    TypeRow{StoredType::u16, "U16", 2},         TypeRow{StoredType::f16, "F16", 2},
    TypeRow{StoredType::bf16, "BF16", 2},       TypeRow{StoredType::i32, "I32", 4},
    TypeRow{StoredType::u32, "U32", 4},         TypeRow{StoredType::f32, "F32", 4},
    TypeRow{StoredType::f64, "F64", 8},         TypeRow{StoredType::i64, "I64", 8},
    TypeRow{StoredType::u64, "U64", 8},
};

const TypeRow& row_of(StoredType type) {
  for (const TypeRow& row : types)
    if (row.type == type) return row;
  throw InternalError("a stored type outside the enumeration");
}

}  // namespace

std::string_view name_of(StoredType type) { return row_of(type).name; }

std::size_t size_of(StoredType type) { return row_of(type).bytes; }

std::optional<DType> weight_dtype(StoredType type) {
  switch (type) {
    case StoredType::f32:
      return DType::fp32;
    case StoredType::f16:
      return DType::fp16;
    case StoredType::bf16:
      return DType::bf16;
    default:
      return std::nullopt;
  }
}

namespace io {

std::optional<StoredType> stored_type_named(std::string_view name) {
  for (const TypeRow& row : types)
    if (row.name == name) return row.type;
  return std::nullopt;
}

std::string stored_type_names() {
  std::string names;
  for (const TypeRow& row : types) {
    if (!names.empty()) names += ", ";
    names += row.name;
  }
  return names;
}

std::optional<std::uint64_t> checked_bytes(StoredType type, std::span<const std::int64_t> shape) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;  // whatever stands beside the zero
  std::uint64_t bytes = size_of(type);
  for (const std::int64_t dimension : shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(dimension), &bytes)) return std::nullopt;
  return bytes;
}

}  // namespace io
}  // namespace cross
