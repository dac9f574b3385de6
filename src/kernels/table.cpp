#include "kernels/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "cross/error.h"
#include "kernels/cpu/kernel_rows.h"
#include "kernels/cpu/peak.h"

namespace cross::kernels {

std::string_view name_of(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::fp32:
      return "fp32";
    case Arithmetic::bf16_widened:
      return "bf16_widened";
    case Arithmetic::bf16_pair:
      return "bf16_pair";
  }
  return "?";
}

std::string Kernel::id() const {
  return fmt::format("{}.{}.{}.{}", name_of(format), shape, name_of(arithmetic), name_of(isa));
}

std::span<const Kernel> all_kernels() {
  static const std::vector<Kernel> table = [] {
    std::vector<Kernel> rows;
    for (const auto part : {scalar_kernels(), avx2_kernels(), avx512_kernels(), avx512_bf16_kernels()})
      rows.insert(rows.end(), part.begin(), part.end());
    return rows;
  }();
  return table;
}

const Kernel* find_kernel(std::string_view id) {
  for (const Kernel& kernel : all_kernels())
    if (kernel.id() == id) return &kernel;
  return nullptr;
}

Arithmetic arithmetic_for(DType dtype, Isa isa) {
  switch (dtype) {
    case DType::fp32:
      return Arithmetic::fp32;
    case DType::bf16:
      return isa == Isa::avx512_bf16 ? Arithmetic::bf16_pair : Arithmetic::bf16_widened;
    case DType::fp16:
      break;
  }
  throw DeviceError("no CPU kernel takes fp16; CPU plans are fp32 or bf16");
}

Isa row_isa(Arithmetic arithmetic, Isa isa) {
  if (arithmetic == Arithmetic::bf16_pair) return Isa::avx512_bf16;
  return std::min(isa, Isa::avx512);
}

std::vector<const Kernel*> kernels_for(Arithmetic arithmetic, Isa isa) {
  std::vector<const Kernel*> rows;
  for (const Kernel& kernel : all_kernels()) {
    if (kernel.arithmetic != arithmetic) continue;
    if (kernel.isa != row_isa(arithmetic, isa) && kernel.isa != isa) continue;
    // Higher ISAs come later: where the CPU's own has a row of its own, that one serves.
    const auto same = std::find_if(rows.begin(), rows.end(), [&](const Kernel* row) {
      return row->format == kernel.format && row->shape == kernel.shape;
    });
    if (same != rows.end())
      *same = &kernel;
    else
      rows.push_back(&kernel);
  }
  return rows;
}

Peak peak_of(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return {scalar_peak(), 2 * 12 * 8};
    case Isa::avx2:
      return {avx2_peak(), 2 * 12 * 8};
    case Isa::avx512:
    case Isa::avx512_bf16:
      break;
  }
  return {avx512_peak(), 2 * 12 * 16};
}

std::vector<int> tile_vectors(int lanes) {
  std::vector<int> widths;
  for (const int vectors : tile_vector_choices)
    if (vectors * lanes <= max_tile_tokens) widths.push_back(vectors);
  return widths;
}

}  // namespace cross::kernels
