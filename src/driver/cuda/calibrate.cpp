// calibrate for GPUs: what every packed kernel, its expansion and cuBLASLt cost, on a grid of matrix sizes.
#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <map>

#include "cross/compile.h"
#include "cuda/device.h"
#include "driver/cuda/family.h"
#include "driver/cuda/gpu_measurer.h"
#include "driver/cuda/masked_bits.h"
#include "driver/cuda/unit_prices.h"
#include "driver/machine.h"
#include "kernels/cuda/gpu_kernel.h"
#include "plan/formats/gpu/blob.h"
#include "plan/formats/gpu/block_tiles.h"
#include "plan/formats/gpu/column_vectors.h"
#include "plan/formats/gpu/row_lists.h"
#include "plan/formats/gpu/two_four_overflow.h"

namespace cross::driver::cuda {
namespace {

struct Size {
  std::int64_t rows, cols;
  double elements() const { return static_cast<double>(rows * cols); }
};

/// A grid, small enough at one end to show what latency costs, large enough at the other to fill the GPU.
std::vector<Size> sizes(bool quick) {
  if (quick) return {{1024, 1024}, {4096, 1024}, {1024, 4096}, {4096, 4096}};
  std::vector<Size> grid;
  for (const std::int64_t rows : {512, 2048, 8192})
    for (const std::int64_t cols : {512, 2048, 8192}) grid.push_back({rows, cols});
  return grid;
}

const std::vector<double> densities = {0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0};
/// column_vectors is for sparser weights than any other format, and its prices are by columns that keep
/// something: 4 to 28 % of them do.
const std::vector<double> vector_densities = {0.0025, 0.005, 0.01, 0.02};
/// row_lists takes nearly the same time more for every weight more.
const std::vector<double> list_densities = {0.0025, 0.01, 0.03, 0.1, 0.3};
const std::vector<std::int64_t> decode_tokens = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
/// Beyond the last times grow with the tokens: the tensor cores bound them.
const std::vector<std::int64_t> prefill_tokens = {128, 256, 512, 1024, 4096};
/// Plans for up to so many tokens are packed for that; those for more may be packed otherwise.
constexpr std::int64_t few_tokens = 8;
const std::vector<std::int64_t> dense_tokens = {1,   2,   4,   8,    16,   32,   64,
                                                128, 256, 512, 1024, 2048, 4096, 8192};
/// Beyond this many multiply-adds a product in fp32 takes longer than its price is worth.
constexpr double most_fp32_work = 2e10;

const std::vector<double>& densities_of(Format format) {
  if (format == Format::column_vectors) return vector_densities;
  return format == Format::row_lists ? list_densities : densities;
}

/// Denser i.i.d. masks have more that is not 2:4 than two_four_overflow is offered for; this one ends its
/// curve.
constexpr double most_overflowing = 0.2;

/// Suggestions of cuBLASLt that are timed: compile tries more, and its last word is measured.
constexpr int most_algorithms = 8;
constexpr double seconds_each = 0.003;

class Calibration {
 public:
  Calibration(const CalibrateOptions& options, const cross::cuda::DeviceInfo& device)
      : options_(options),
        threads_(resolve_threads(options.threads)),
        measurer_(device, most_algorithms),
        device_(device) {}

  CostProfile run(const ProfileKey& key) {
    profile_.key = key;
    profile_.source = "measured on this machine";
    list_jobs();
    // Packing one job ahead: cores and GPU work at the same time.
    std::future<std::vector<LayerPlan>> next = start(0);
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      std::vector<LayerPlan> layers = next.get();
      if (i + 1 < jobs_.size()) next = start(i + 1);
      step(fmt::format("{} {} {}x{} at density {}", jobs_[i].kernel->id(), name_of(jobs_[i].dtype),
                       jobs_[i].size.rows, jobs_[i].size.cols, jobs_[i].density));
      measure(jobs_[i], layers);
    }
    for (const auto& [name, points] : samples_) add_curve(name, points);
    measure_dense(DType::bf16);
    if (!options_.quick) measure_dense(DType::fp32);
    if (kernels::cuda::gpu_kernel_for(Format::cross_panels, device_.major, device_.minor) != nullptr)
      profile_.units = measure_units(device_, threads_);
    return std::move(profile_);
  }

 private:
  struct Job {
    const kernels::cuda::GpuKernel* kernel;
    DType dtype;
    Size size;
    double density;
  };
  struct CurveName {
    std::string kernel, arithmetic;
    std::int64_t tokens, rows, cols;
    auto operator<=>(const CurveName&) const = default;
  };
  using Points = std::map<double, cross::cuda::Times>;  ///< by density

  /// bf16 stands for fp16 too: it takes the same time.
  void list_jobs() {
    constexpr std::byte nothing[4] = {};
    for (const DType dtype : {DType::bf16, DType::fp32})
      for (const Format format : gpu_formats) {
        const auto* kernel = kernels::cuda::gpu_kernel_for(format, device_.major, device_.minor);
        if (kernel == nullptr || !compiler::gpu_format_refuses({dtype, 1, 1, nothing}, dtype, format).empty())
          continue;
        for (const Size& size : sizes(options_.quick))
          for (const double density : densities_of(format))
            if (format == Format::two_four_overflow && density > most_overflowing)
              break;
            else if (!options_.quick || &densities_of(format) != &densities || density == 0.05 ||
                     density == 0.2 || density == 0.5 || density == 1)
              jobs_.push_back({kernel, dtype, size, density});
      }
  }

  void step(const std::string& what) {
    if (options_.on_step) options_.on_step(step_++, jobs_.size() + (options_.quick ? 1 : 2), what);
  }

  bool wanted(std::int64_t tokens) const {
    return !options_.quick || tokens == 1 || tokens == 8 || tokens == 64 || tokens == 1024;
  }

  bool wanted(const Job& job, std::int64_t tokens) const {
    const double work = job.size.elements() * static_cast<double>(tokens);
    return wanted(tokens) && (job.dtype != DType::fp32 || work <= most_fp32_work);
  }

  std::future<std::vector<LayerPlan>> start(std::size_t job) {
    return std::async(std::launch::async, [this, job] { return pack(jobs_[job]); });
  }

  /// Packed for few tokens, and for many where that does not run them. Empty where the format cannot hold the
  /// density: an i.i.d. mask, one of whole blocks for the format made of them, or one that keeps two of every
  /// four for formats that need that.
  std::vector<LayerPlan> pack(const Job& job) const {
    constexpr std::uint64_t seed = 3;
    const auto [rows, cols] = job.size;
    const Format format = job.kernel->format;
    const DType dtype = job.dtype;
    auto bits =
        masked_bits(dtype, rows, cols, seed, [&](std::int64_t r, std::int64_t c, std::uint32_t random) {
          if (format != Format::block_tiles) return keeps(random, job.density);
          constexpr std::int64_t side = formats::gpu::block_tiles_side;
          return keeps(static_cast<std::uint32_t>(position_hash(seed + 2, r / side, c / side)), job.density);
        });
    const auto view = [&] { return MatrixView{dtype, rows, cols, bits.data()}; };
    if (!compiler::gpu_format_refuses(view(), dtype, format).empty()) {
      if (job.density > 0.5) return {};
      bits = masked_bits(dtype, rows, cols, seed, [&](std::int64_t r, std::int64_t c, std::uint32_t random) {
        return keeps_n_m(seed, r, c, random, 2, 4) &&
               keeps(static_cast<std::uint32_t>(position_hash(seed + 1, r, c)), 2 * job.density);
      });
      if (!compiler::gpu_format_refuses(view(), dtype, format).empty()) return {};
    }
    std::vector<LayerPlan> layers;
    const std::int64_t most = std::clamp<std::int64_t>(job.kernel->max_tokens, 1, decode_tokens.back());
    for (const std::int64_t tokens : {std::min(few_tokens, most), most}) {
      if (!layers.empty() && serves(job, layers.back(), tokens)) break;
      layers.push_back(pack_for(job, view(), tokens));
    }
    return layers;
  }

  static kernels::cuda::PackedMatrix matrix_of(const Job& job, const LayerPlan& layer) {
    const Packing& packing = layer.packings[0];
    return {packing.data.bytes.first(packing.panels[0].segments[0].bytes), nullptr, job.dtype};
  }

  /// What compile asks for the price of: the density, the further stages of two_four_overflow, the columns of
  /// column_vectors, or the entries of row_lists.
  static double priced_density(const Job& job, const LayerPlan& layer) {
    const std::span<const std::byte> blob = matrix_of(job, layer).host;
    if (job.kernel->format == Format::two_four_overflow)
      return formats::gpu::read_header<formats::gpu::TwoFourOverflowHeader>(blob).overhead();
    if (job.kernel->format == Format::column_vectors)
      return formats::gpu::read_header<formats::gpu::ColumnVectorsHeader>(blob).density();
    if (job.kernel->format == Format::row_lists)
      return formats::gpu::read_header<formats::gpu::RowListsHeader>(blob).density();
    return job.density;
  }

  bool serves(const Job& job, const LayerPlan& layer, std::int64_t tokens) const {
    return job.kernel->refuses(matrix_of(job, layer), tokens, device_.shared_bytes).empty();
  }

  LayerPlan pack_for(const Job& job, const MatrixView& weight, std::int64_t tokens) const {
    CompileOptions options;
    options.dtype = job.dtype;
    options.threads = threads_;
    options.tokens = {tokens};
    const compiler::GpuFamily gpu{{device_.sms, device_.shared_bytes},
                                  {{job.kernel->format, job.kernel->max_tokens}}};
    compiler::LayoutCandidate candidate;
    candidate.layout.panels.push_back(
        {0, static_cast<int>(weight.rows), {{job.kernel->format, 0, weight.cols, 0, 0, 0, 0}}});
    const CostProfile none;
    LayerPlan layer;
    layer.rows = weight.rows;
    layer.cols = weight.cols;
    layer.packings.push_back(
        compiler::make_gpu_family({weight, options, none}, gpu)->pack(candidate, layer.nnz));
    layer.variants.emplace_back();
    layer.variants[0].tokens = tokens;
    layer.variants[0].shape = "decode";
    return layer;
  }

  void measure(const Job& job, std::vector<LayerPlan>& layers) {
    const std::string format(name_of(job.kernel->format)), arithmetic = arithmetic_of(job.dtype);
    const auto samples = [&](const char* shape, std::int64_t tokens) -> Points& {
      return samples_[{format + shape, arithmetic, tokens, job.size.rows, job.size.cols}];
    };
    for (std::size_t i = 0; i < layers.size(); ++i) {
      LayerPlan& layer = layers[i];
      const double density = priced_density(job, layer);
      const std::int64_t most = layer.variants[0].tokens;
      TimedLayer timed(layer, job.dtype, device_, measurer_.library());
      // The most tokens first, so that buffers grow once.
      if (i + 1 == layers.size() && job.kernel->prefill.launch != nullptr)
        for (auto tokens = prefill_tokens.rbegin(); tokens != prefill_tokens.rend(); ++tokens) {
          const kernels::cuda::GpuPrefill& prefill = job.kernel->prefill;
          if (*tokens > prefill.max_tokens || !wanted(job, *tokens) ||
              !prefill.refuses(matrix_of(job, layer), *tokens, device_.shared_bytes).empty())
            continue;
          samples(".prefill", *tokens)[density] = time(job, layer, timed, *tokens, "prefill");
        }
      for (auto tokens = decode_tokens.rbegin(); tokens != decode_tokens.rend(); ++tokens) {
        if (*tokens > job.kernel->max_tokens || !wanted(job, *tokens)) continue;
        if (layers.size() > 1 && (i == 0) != (*tokens <= few_tokens)) continue;
        if (*tokens > most && !serves(job, layer, *tokens)) continue;
        samples(".decode", *tokens)[density] = time(job, layer, timed, *tokens, "decode");
      }
      if (job.kernel->expand == nullptr || i > 0) continue;
      // What a run by expansion costs beyond its dense product.
      const auto dense = measurer_.dense("cublaslt", job.dtype, job.size.rows, job.size.cols, false, 1);
      layer.variants[0].library = "cublaslt";
      layer.variants[0].algorithm = dense.algorithm;
      auto times = time(job, layer, timed, 1, "expand");
      times.median_us = std::max(times.median_us - dense.us, 0.1);
      samples(".expand", 1)[job.density] = times;
    }
  }

  static const char* arithmetic_of(DType dtype) { return dtype == DType::fp32 ? "fp32" : "mma"; }

  cross::cuda::Times time(const Job& job, LayerPlan& layer, TimedLayer& timed, std::int64_t tokens,
                          const char* shape) const {
    layer.variants[0].tokens = tokens;
    layer.variants[0].shape = shape;
    timed.use(tokens);
    const bool sustained =
        !options_.quick && cross::cuda::runs_long({job.dtype, layer.rows, layer.cols, tokens});
    return time_layer(timed, options_.quick ? 0.0 : seconds_each, sustained);
  }

  void measure_dense(DType type) {
    step(fmt::format("cublaslt {}", name_of(type)));
    for (const Size& size : sizes(options_.quick))
      for (const std::int64_t tokens : dense_tokens) {
        if (!wanted(tokens)) continue;
        if (type == DType::fp32 && size.elements() * static_cast<double>(tokens) > most_fp32_work) continue;
        const double us = measurer_.dense("cublaslt", type, size.rows, size.cols, false, tokens).us;
        profile_.curves.push_back({"dense.cublaslt",
                                   arithmetic_of(type),
                                   tokens,
                                   size.rows,
                                   size.cols,
                                   {{1.0, 1000 * us / size.elements(), 0.01}}});
      }
  }

  void add_curve(const CurveName& name, const Points& points) {
    PriceCurve curve{name.kernel, name.arithmetic, name.tokens, name.rows, name.cols, {}};
    const auto elements = static_cast<double>(name.rows * name.cols);
    for (const auto& [density, times] : points)
      curve.points.push_back({density, 1000 * times.median_us / elements, times.spread});
    profile_.curves.push_back(std::move(curve));
  }

  const CalibrateOptions& options_;
  int threads_;
  GpuMeasurer measurer_;
  const cross::cuda::DeviceInfo& device_;
  std::vector<Job> jobs_;
  std::map<CurveName, Points> samples_;
  CostProfile profile_;
  std::size_t step_ = 0;
};

}  // namespace

CostProfile calibrate(const CalibrateOptions& options, int index) {
  const cross::cuda::DeviceInfo device = cross::cuda::require_device(index);
  const cross::cuda::CurrentDevice current(index);
  return Calibration(options, device).run(profile_key(index));
}

}  // namespace cross::driver::cuda
