// Arrays of any library that speaks DLPack, checked and without a copy.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <optional>
#include <string>

#include "cross/dtype.h"
#include "cross/error.h"

namespace cross::python {

using ConstArray = nanobind::ndarray<nanobind::ro, nanobind::c_contig, nanobind::device::cpu>;
using MutableArray = nanobind::ndarray<nanobind::c_contig, nanobind::device::cpu>;

/// The dtype of an array's elements, nullopt for other types. NumPy has no bfloat16 of its own: 16-bit
/// unsigned integers count as bf16 where `bits` says so.
inline std::optional<DType> dtype_of(nanobind::dlpack::dtype type, bool bits) {
  using Code = nanobind::dlpack::dtype_code;
  if (type.lanes != 1) return std::nullopt;
  const auto code = static_cast<Code>(type.code);
  if (code == Code::Float && type.bits == 32) return DType::fp32;
  if (code == Code::Float && type.bits == 16) return DType::fp16;
  if (code == Code::Bfloat && type.bits == 16) return DType::bf16;
  if (bits && code == Code::UInt && type.bits == 16) return DType::bf16;
  return std::nullopt;
}

/// UsageError for a name that is none.
inline DType dtype_named(const std::string& name) {
  for (const DType dtype : {DType::fp32, DType::fp16, DType::bf16})
    if (name_of(dtype) == name) return dtype;
  throw UsageError("dtype \"" + name + "\" is unknown; it can be fp32, fp16 or bf16");
}

template <class Array>
std::string shape_text(const Array& array) {
  std::string text = "(";
  for (std::size_t i = 0; i < array.ndim(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(array.shape(i));
  return text + ")";
}

}  // namespace cross::python
