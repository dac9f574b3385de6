// Measured prices of kernels on one device: what `cross calibrate` makes and `compile` decides with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cross {

/// One measurement: nanoseconds of wall time per element of W (kept or not), all workers busy, weights from
/// memory.
struct PricePoint {
  double density = 0;  ///< of what the format stores per slot: elements, column vectors of four rows, columns
  double ns_per_element = 0;  ///< second-best of several passes, each a median of repetitions
  double spread = 0;          ///< how far the median pass lies above it, as a share
};

/// One kernel at one token count over densities.
struct PriceCurve {
  std::string kernel;      ///< "index8.tile", "bitmap.dot", "dense.onednn", "delta4.decode", …
  std::string arithmetic;  ///< "fp32", "bf16_widened", "bf16_pair"; "bf16" for dense libraries; "mma" on GPUs
  std::int64_t tokens = 0;
  /// The matrix that it was measured on: on a GPU small ones pay for latency and not by the element. 0: any.
  std::int64_t rows = 0, cols = 0;
  std::vector<PricePoint>
      points;  ///< ascending density; one point for kernels whose price does not depend on it
};

/// What a profile was measured on. A profile fits where all of it agrees.
struct ProfileKey {
  std::string device;     ///< "cpu" or "cuda"
  std::string name;       ///< of the CPU or GPU
  std::string isa;        ///< "avx2", …; "sm90"
  int threads = 0;        ///< SMs of a GPU
  int kernel_table = 0;   ///< kernels::table_version, kernels::cuda::gpu_table_version
  std::string libraries;  ///< "onednn 2.6.3, openblas 0.3.21"; "cublaslt 13.0.2, driver 13.0"

  std::string text() const;       ///< one line for plans and messages
  std::string file_name() const;  ///< of the stored profile
  friend bool operator==(const ProfileKey&, const ProfileKey&) = default;
};

/// What the parts of a product cost on two kinds of unit that work on one output tile (format cross_panels):
/// clocks of one SM for 128 tokens. Only their ratios decide.
struct UnitPrices {
  double tensor_half = 0;      ///< 64 x 64 weights on tensor cores that work alone
  double gather_weight = 0;    ///< one kept weight on CUDA cores that work alone
  double gather_chunk = 0;     ///< what a chunk of them costs besides
  double piece = 0;            ///< writing out the sums of 128 rows
  double dense_slowdown = 1;   ///< by which tensor cores are slower while CUDA cores work too, at least 1
  double sparse_slowdown = 1;  ///< and the reverse
};

/// Prices with interpolation. Scope: matrices of about 1024 × 1024 and larger whose weights come from memory;
/// small matrices pay more overhead than these prices say. Blind spots: mixtures of formats within a panel
/// are priced as the sum of their parts, and masks are assumed to be i.i.d. within a block.
struct CostProfile {
  ProfileKey key;
  std::string source;  ///< "measured on this machine", "shipped default measured on …"
  std::vector<PriceCurve> curves;
  std::optional<UnitPrices> units;  ///< where the device has two kinds of unit

  /// Price of one element of W in ns. Between densities linear on the running maximum (more kept values are
  /// never cheaper), between token counts linear, below the first and above the last proportional to the
  /// nearest pair. nullopt if no curve fits the kernel.
  std::optional<double> price(std::string_view kernel, std::string_view arithmetic, double density,
                              std::int64_t tokens) const;
  /// µs of a whole product. Curves without a size: price · elements. Else bilinear in (rows, cols) between
  /// the measured sizes, which form a grid: exact for times a + b·rows + c·cols + d·rows·cols. Below the
  /// least size as there, above the largest along the last slope.
  std::optional<double> time_us(std::string_view kernel, std::string_view arithmetic, double density,
                                std::int64_t tokens, std::int64_t rows, std::int64_t cols) const;
  /// Median spread of all points: the least half-width of the swing band that makes sense.
  double noise() const;

  static CostProfile load(const std::filesystem::path& path);
  static CostProfile parse(std::string_view json, const std::string& name);
  void save(const std::filesystem::path& path) const;
};

/// Folder of this user's measured profiles: $CROSS_PROFILE_DIR, else $XDG_CACHE_HOME/cross/profiles, else
/// ~/.cache/cross/profiles.
std::filesystem::path profile_folder();

}  // namespace cross
