// The one declaration of every CPU kernel: a row per format and shape, instantiated per ISA and arithmetic.
#pragma once

#include <array>

#include "kernels/cpu/arithmetic.h"
#include "kernels/cpu/dot_kernels.h"
#include "kernels/cpu/tile_kernels.h"
#include "kernels/table.h"

namespace cross::kernels {

template <class S, class A>
constexpr std::array<Kernel, 8> kernel_rows(Arithmetic arithmetic, Isa isa) {
  const int l = S::lanes;
  return {{
      {"tile", Format::index8, arithmetic, isa, l, index8_dispatch<S, A>, nullptr},
      {"dot", Format::index8, arithmetic, isa, l, nullptr, index8_dot<S, A>},
      {"tile", Format::block, arithmetic, isa, l, block_tile<S, A>, nullptr},
      {"tile", Format::dense_panel, arithmetic, isa, l, dense_panel_tile<S, A>, nullptr},
      {"tile", Format::bitmap, arithmetic, isa, l, bitmap_tile<S, A>, nullptr},
      {"dot", Format::bitmap, arithmetic, isa, l, nullptr, bitmap_dot<S, A>},
      {"tile", Format::n_m, arithmetic, isa, l, bitmap_tile<S, A>, nullptr},
      {"dot", Format::n_m, arithmetic, isa, l, nullptr, bitmap_dot<S, A>},
  }};
}

/// One ISA's rows; defined in its own translation unit, which alone is compiled for that ISA.
std::span<const Kernel> scalar_kernels();
std::span<const Kernel> avx2_kernels();
std::span<const Kernel> avx512_kernels();
std::span<const Kernel> avx512_bf16_kernels();

}  // namespace cross::kernels
