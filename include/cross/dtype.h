// Element types, and the two 16-bit floating-point formats as plain bits.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cross {

/// Types that a weight, an activation or a plan can have. CPU plans are fp32 or bf16, CUDA plans any.
enum class DType : std::uint8_t { fp32, fp16, bf16 };

constexpr std::size_t size_of(DType type) { return type == DType::fp32 ? 4 : 2; }

constexpr std::string_view name_of(DType type) {
  switch (type) {
    case DType::fp32:
      return "fp32";
    case DType::fp16:
      return "fp16";
    case DType::bf16:
      return "bf16";
  }
  return "?";
}

/// fp32 → bf16, round to nearest even; NaN stays NaN (quiet).
constexpr std::uint16_t bf16_from_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

constexpr float float_from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// IEEE 754 binary16 → fp32, exact, subnormals and NaN payloads included.
constexpr float float_from_fp16(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fu;
  std::uint32_t mantissa = half & 0x3ffu;
  if (exponent == 0x1fu) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
  if (mantissa == 0) return std::bit_cast<float>(sign);
  std::uint32_t shift = 0;
  while ((mantissa & 0x400u) == 0) {
    mantissa <<= 1;
    ++shift;
  }
  return std::bit_cast<float>(sign | ((113u - shift) << 23) | ((mantissa & 0x3ffu) << 13));
}

/// fp32 → IEEE 754 binary16, round to nearest even, overflow to infinity; NaN stays NaN (quiet).
constexpr std::uint16_t fp16_from_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return static_cast<std::uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x33000001u) return sign;
  const std::uint32_t exponent = magnitude >> 23;
  std::uint32_t mantissa = magnitude & 0x7fffffu;
  if (exponent < 113u) {
    mantissa |= 0x800000u;
    const std::uint32_t shift = 126u - exponent;
    const std::uint32_t half = 1u << (shift - 1u);
    std::uint32_t result = mantissa >> shift;
    const std::uint32_t rest = mantissa & ((1u << shift) - 1u);
    if (rest > half || (rest == half && (result & 1u))) ++result;
    return static_cast<std::uint16_t>(sign | result);
  }
  const std::uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<std::uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
}

/// The bits of `value` rounded to `type`, zero-extended.
constexpr std::uint32_t bits_from_float(float value, DType type) {
  switch (type) {
    case DType::fp32:
      return std::bit_cast<std::uint32_t>(value);
    case DType::fp16:
      return fp16_from_float(value);
    case DType::bf16:
      return bf16_from_float(value);
  }
  return 0;
}

/// The value of bits that are zero-extended from `type`.
constexpr float float_from_bits(std::uint32_t bits, DType type) {
  switch (type) {
    case DType::fp32:
      return std::bit_cast<float>(bits);
    case DType::fp16:
      return float_from_fp16(static_cast<std::uint16_t>(bits));
    case DType::bf16:
      return float_from_bf16(static_cast<std::uint16_t>(bits));
  }
  return 0.0f;
}

}  // namespace cross
