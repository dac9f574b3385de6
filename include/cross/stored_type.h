// Element types of tensors in files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "cross/dtype.h"

namespace cross {

/// Element types that a model file can hold, named as safetensors names them. Only F32, F16 and BF16 can be
/// weights; the others are carried through unchanged.
enum class StoredType : std::uint8_t {
  boolean,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  f64,
  i64,
  u64
};

std::string_view name_of(StoredType type);  ///< "F32", "BF16", …
std::size_t size_of(StoredType type);       ///< bytes per element
std::optional<DType> weight_dtype(StoredType type);

}  // namespace cross
