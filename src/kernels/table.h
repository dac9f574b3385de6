// The kernel table: every kernel is declared once (kernel_rows.h), and dispatch, tests, calibration and
// benchmarks are driven from here.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cross/dtype.h"
#include "cross/format.h"
#include "kernels/isa.h"
#include "kernels/kernel.h"

namespace cross::kernels {

/// Part of every profile's key: raise it when a kernel's speed or a packed layout changes.
inline constexpr int table_version = 5;

/// One row. Exactly one of `tile` and `dot` is set.
struct Kernel {
  std::string_view shape;  ///< "tile" (lanes along tokens) or "dot" (lanes along K)
  Format format = Format::empty;
  Arithmetic arithmetic = Arithmetic::fp32;
  Isa isa = Isa::scalar;
  int lanes = 0;  ///< 4-byte lanes of one vector
  TileFunction tile = nullptr;
  DotFunction dot = nullptr;

  DType dtype() const { return arithmetic == Arithmetic::fp32 ? DType::fp32 : DType::bf16; }
  int min_tokens() const { return 1; }
  /// Dot kernels stop paying where lanes along tokens are full; tile kernels have no limit.
  int max_tokens() const { return dot != nullptr ? max_dot_tokens : 1 << 30; }
  bool k_blocked() const { return format != Format::bitmap && format != Format::n_m; }
  /// "index8.tile.fp32.avx2": stable, stored in plans and profiles.
  std::string id() const;
};

std::string_view name_of(Arithmetic arithmetic);

/// All kernels of this build, whether the CPU can run them or not.
std::span<const Kernel> all_kernels();

const Kernel* find_kernel(std::string_view id);

/// Arithmetic that the best kernels for `dtype` use on `isa`. Throws DeviceError for fp16, which no CPU
/// kernel takes.
Arithmetic arithmetic_for(DType dtype, Isa isa);

/// ISA of the kernel rows that serve `arithmetic` on a CPU with `isa` (avx512_bf16 CPUs run fp32 with the
/// avx512 rows). The CPU's own ISA may have faster ones of some formats: kernels_for has those.
Isa row_isa(Arithmetic arithmetic, Isa isa);

/// The rows that a CPU with `isa` should choose from for `arithmetic`: one per format and shape.
std::vector<const Kernel*> kernels_for(Arithmetic arithmetic, Isa isa);

/// Token-tile widths, in vectors, that tile kernels with `lanes` lanes accept, ascending.
std::vector<int> tile_vectors(int lanes);

}  // namespace cross::kernels
