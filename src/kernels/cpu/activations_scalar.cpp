// The plain definition of packing and epilogue.
#include <cmath>
#include <cstring>

#include "kernels/cpu/activation_math.h"
#include "kernels/cpu/activations.h"

namespace cross::kernels {
namespace {

bool is_finite_bf16(std::uint16_t bits) { return (bits & 0x7f80u) != 0x7f80u; }

std::uint16_t bf16_at(const std::byte* row, std::int64_t column, std::int64_t columns) {
  if (column >= columns) return 0;
  std::uint16_t bits;
  std::memcpy(&bits, row + column * 2, 2);
  return bits;
}

/// The 4-byte slot of one element and token; clears `finite` for Inf and NaN.
std::uint32_t slot(const PackTileArgs& a, const std::byte* row, std::int64_t element, bool& finite) {
  if (a.arithmetic == Arithmetic::bf16_pair) {
    const std::uint16_t low = bf16_at(row, 2 * element, a.columns);
    const std::uint16_t high = bf16_at(row, 2 * element + 1, a.columns);
    finite = finite && is_finite_bf16(low) && is_finite_bf16(high);
    return low | static_cast<std::uint32_t>(high) << 16;
  }
  if (element >= a.columns) return 0;
  if (a.arithmetic == Arithmetic::bf16_widened) {
    const std::uint16_t bits = bf16_at(row, element, a.columns);
    finite = finite && is_finite_bf16(bits);
    return static_cast<std::uint32_t>(bits) << 16;
  }
  float value;
  std::memcpy(&value, row + element * 4, 4);
  finite = finite && std::isfinite(value);
  return std::bit_cast<std::uint32_t>(value);
}

bool pack_tile(const PackTileArgs& a) {
  bool finite = true;
  auto* out = reinterpret_cast<std::uint32_t*>(a.out);
  for (std::int64_t e = a.element_begin; e < a.element_end; ++e)
    for (int t = 0; t < a.width; ++t)
      out[e * a.width + t] = t < a.tokens ? slot(a, a.x + t * a.row_bytes, e, finite) : 0u;
  return finite;
}

bool pack_dot(const PackDotArgs& a) {
  bool finite = true;
  for (std::int64_t c = 0; c < a.padded; ++c) {
    if (a.arithmetic == Arithmetic::fp32) {
      float value = 0.0f;
      if (c < a.columns) std::memcpy(&value, a.x + c * 4, 4);
      finite = finite && std::isfinite(value);
      std::memcpy(a.out + c * 4, &value, 4);
      continue;
    }
    const std::uint16_t bits = bf16_at(a.x, c, a.columns);
    finite = finite && is_finite_bf16(bits);
    if (a.arithmetic == Arithmetic::bf16_pair) {
      std::memcpy(a.out + c * 2, &bits, 2);
    } else {
      const float value = float_from_bf16(bits);
      std::memcpy(a.out + c * 4, &value, 4);
    }
  }
  return finite;
}

void epilogue(const EpilogueArgs& a) {
  for (int t = 0; t < a.tokens; ++t) {
    for (int r = 0; r < a.rows; ++r) {
      const std::int64_t column = a.row_map != nullptr ? a.row_map[r] : a.first_row + r;
      const std::int64_t at = t * a.y_stride + column;
      const std::int64_t acc_row = a.acc_rows != nullptr ? a.acc_rows[r] : r;
      float value = a.acc[acc_row * a.row_stride + t * a.token_stride];
      if (a.bias != nullptr) value += a.bias[r];
      value = apply_activation(a.activation, value);
      if (a.y_dtype == DType::fp32) {
        auto* y = reinterpret_cast<float*>(a.y);
        if (a.residual != nullptr) value += reinterpret_cast<const float*>(a.residual)[at];
        y[at] = value;
      } else {
        auto* y = reinterpret_cast<std::uint16_t*>(a.y);
        if (a.residual != nullptr)
          value += float_from_bf16(reinterpret_cast<const std::uint16_t*>(a.residual)[at]);
        y[at] = bf16_from_float(value);
      }
    }
  }
}

bool pack_rows(const PackRowsArgs& a) {
  bool finite = true;
  for (int r = 0; r < a.rows; ++r) {
    const std::int64_t column = a.row_map != nullptr ? a.row_map[r] : a.first_row + r;
    for (int t = 0; t < a.width; ++t) {
      float value = a.acc[static_cast<std::int64_t>(r) * a.width + t];
      if (a.bias != nullptr) value += a.bias[r];
      value = apply_activation(a.activation, value);
      const std::uint16_t bits = bf16_from_float(value);
      if (a.arithmetic != Arithmetic::fp32) value = float_from_bf16(bits);
      finite = finite && std::isfinite(value);
      if (a.arithmetic == Arithmetic::bf16_pair)
        std::memcpy(a.out + (column / 2 * a.width + t) * 4 + column % 2 * 2, &bits, 2);
      else
        std::memcpy(a.out + (column * a.width + t) * 4, &value, 4);
    }
  }
  return finite;
}

bool all_finite(const std::byte* x, std::int64_t count, DType dtype) {
  for (std::int64_t i = 0; i < count; ++i) {
    const bool finite = dtype == DType::fp32 ? std::isfinite(reinterpret_cast<const float*>(x)[i])
                                             : is_finite_bf16(reinterpret_cast<const std::uint16_t*>(x)[i]);
    if (!finite) return false;
  }
  return true;
}

}  // namespace

const ActivationKernels scalar_activations = {pack_tile, pack_dot, epilogue, pack_rows, all_finite};

}  // namespace cross::kernels
