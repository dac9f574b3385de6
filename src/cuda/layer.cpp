#include "cuda/layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/quote.h"
#include "cross/error.h"
#include "cuda/elementwise.h"
#include "cuda/error.h"
#include "plan/formats/gpu/head.h"
#include "plan/formats/layout.h"

namespace cross::cuda {
namespace {

constexpr std::size_t alignment = 256;

/// Slices of so many tokens leave x, y and residual aligned to 16 bytes whatever the shape.
constexpr std::int64_t slice_unit = 8;

std::uint16_t narrow_bits(float value, DType dtype) {
  return dtype == DType::bf16 ? bf16_from_float(value) : fp16_from_float(value);
}

float widened(std::uint16_t bits, DType dtype) {
  return dtype == DType::bf16 ? float_from_bf16(bits) : float_from_fp16(bits);
}

}  // namespace

Layer::Layer(const LayerPlan& plan, DType dtype, const DeviceInfo& device, const Library& library, int copies,
             const PlanImage& image)
    : plan_(plan), dtype_(dtype), device_(device), library_(library), image_(image) {
  for (const Packing& packing : plan.packings) upload(packing, copies);
  if (!plan.bias.empty()) upload_bias();
  // What the plan names is made ready now, so that its first run is like every other.
  for (const Variant& variant : plan.variants) {
    RunArgs args;
    args.tokens = variant.tokens;
    prepare(args);
    args.bias = false;
    prepare(args);
  }
}

void Layer::upload(const Packing& packing, int copies) {
  Stored stored;
  stored.dense = packing.dense();
  std::span<const std::byte> bytes = packing.data.bytes.first(plan_.dense_bytes(dtype_));
  if (!stored.dense) {
    const cross::Segment& segment = packing.panels.at(0).segments.at(0);
    stored.format = segment.format;
    bytes = packing.data.bytes.subspan(segment.offset, segment.bytes);
    stored.kernel = kernels::cuda::gpu_kernel_for(segment.format, device_.major, device_.minor);
    if (stored.kernel == nullptr)
      throw DeviceError(fmt::format("layer {}: no kernel for format {} on {} (compute capability {}.{})",
                                    base::in_quotes(plan_.name), name_of(segment.format), device_.name,
                                    device_.major, device_.minor));
  }
  stored.bytes = bytes.size();
  if (!stored.dense) {
    const auto head = bytes.first(formats::gpu::head_bytes(bytes));
    stored.head.assign(head.begin(), head.end());
  }
  if (const std::byte* there = in_image(bytes); there != nullptr && copies == 1) {
    stored.matrices.push_back({stored.head, there, dtype_});
  } else {
    const std::string what = fmt::format("the weights of layer {}", base::in_quotes(plan_.name));
    const std::size_t stride = formats::round_up(bytes.size(), alignment);
    stored.buffer = DeviceBuffer(stride * static_cast<std::size_t>(copies), what);
    stored.buffer.upload(bytes);
    stored.buffer.repeat(stride);
    for (int copy = 0; copy < copies; ++copy)
      stored.matrices.push_back(
          {stored.head, stored.buffer.data() + stride * static_cast<std::size_t>(copy), dtype_});
  }
  if (!stored.dense) {
    if (stored.kernel->prefill.launch != nullptr)
      zeroed_bytes_ = std::max(zeroed_bytes_, kernels::cuda::counter_bytes);
    const auto most = stored.kernel->max_tokens;
    stored.runs.assign(static_cast<std::size_t>(most) + 1, false);
    for (std::int64_t tokens = 1; tokens <= most; ++tokens) {
      if (!stored.kernel->refuses(stored.matrices[0], tokens, device_.shared_bytes).empty()) continue;
      stored.runs[static_cast<std::size_t>(tokens)] = true;
      if (tokens % slice_unit == 0) stored.slice = tokens;
      zeroed_bytes_ = std::max(
          zeroed_bytes_, formats::round_up(stored.kernel->workspace(stored.matrices[0], tokens), alignment));
    }
  }
  for (const Variant& variant : plan_.variants)
    if (variant.shape == sparse_library_shape &&
        static_cast<std::size_t>(variant.packing) == stored_.size() && stored.compressed == nullptr)
      compress(stored, copies);
  stored_.push_back(std::move(stored));
}

void Layer::compress(Stored& stored, int copies) const {
  if (!library_.sparse().here() || stored.dense || stored.kernel->expand == nullptr) return;
  const DeviceBuffer dense(expanded_bytes(), "weights for cuSPARSELt");
  const Stream stream;
  check(stored.kernel->expand(stored.matrices[0], dense.data(), stream.get()), "expanding weights");
  stream.wait();
  stored.compressed =
      CompressedLayer::make(library_.sparse(), dtype_, plan_.rows, plan_.cols, dense.data(), copies);
}

const std::byte* Layer::in_image(std::span<const std::byte> bytes) const {
  if (image_.device == nullptr || bytes.data() < image_.host ||
      bytes.data() + bytes.size() > image_.host + image_.bytes)
    return nullptr;
  const std::byte* there = image_.device + (bytes.data() - image_.host);
  return reinterpret_cast<std::uintptr_t>(there) % alignment == 0 ? there : nullptr;
}

void Layer::upload_bias() {
  const std::string what = fmt::format("the bias of layer {}", base::in_quotes(plan_.name));
  const auto wide = std::as_bytes(std::span(plan_.bias));
  bias_ = DeviceBuffer(wide.size(), what);
  bias_.upload(wide);
  if (dtype_ == DType::fp32) return;
  std::vector<std::uint16_t> narrow;
  for (const float value : plan_.bias) {
    narrow.push_back(narrow_bits(value, dtype_));
    bias_exact_ = bias_exact_ && std::bit_cast<std::uint32_t>(widened(narrow.back(), dtype_)) ==
                                     std::bit_cast<std::uint32_t>(value);
  }
  narrow_bias_ = DeviceBuffer(2 * narrow.size(), what);
  narrow_bias_.upload(std::as_bytes(std::span(narrow)));
}

bool Layer::Stored::runs_prefill(std::int64_t tokens, std::size_t shared_bytes) const {
  const kernels::cuda::GpuPrefill& prefill = kernel->prefill;
  return prefill.launch != nullptr && tokens <= prefill.max_tokens &&
         prefill.refuses(matrices[0], tokens, shared_bytes).empty();
}

bool Layer::Stored::runs_decode(std::int64_t tokens) const {
  return static_cast<std::size_t>(tokens) < runs.size() && runs[static_cast<std::size_t>(tokens)];
}

/// A count that the plan names runs as measured. Of others the kernels know where they cross; the variant for
/// the next count named was measured too far away.
std::string_view Layer::shape_for(const Variant& variant, const Stored& stored, std::int64_t tokens) const {
  const std::string_view planned = variant.shape;
  if (variant.tokens == tokens) return planned;
  const auto pays = stored.kernel->prefill.pays;
  if (pays != nullptr && pays(stored.matrices[0], tokens) &&
      stored.runs_prefill(tokens, device_.shared_bytes)) {
    const bool library = planned == sparse_library_shape && tokens >= sparse_library_least_tokens;
    return library ? planned : "prefill";
  }
  if (stored.runs_decode(tokens)) return "decode";
  return planned == "decode" || tokens > variant.tokens ? "expand" : planned;
}

Layer::Route Layer::route(std::int64_t tokens) const {
  const Variant& variant = plan_.variant_for(tokens);
  const Stored& stored = stored_[static_cast<std::size_t>(variant.packing)];
  if (stored.dense) return {&stored, &variant, 0};
  const std::string_view shape = shape_for(variant, stored, tokens);
  const bool library = shape == sparse_library_shape;
  if ((shape == "prefill" || library) && stored.runs_prefill(tokens, device_.shared_bytes))
    return {&stored, &variant, tokens, true, library};
  const bool runs = stored.runs_decode(tokens);
  if (!runs && stored.kernel->expand == nullptr && stored.runs_prefill(tokens, device_.shared_bytes))
    return {&stored, &variant, tokens, true};
  if (stored.kernel->expand != nullptr)
    return {&stored, &variant, shape == "decode" && runs ? tokens : 0, false, library};
  if (runs || stored.slice > 0) return {&stored, &variant, runs ? tokens : stored.slice};
  throw DeviceError(fmt::format("layer {}: {} cannot run {} tokens on {}", base::in_quotes(plan_.name),
                                stored.kernel->id(), tokens, device_.name));
}

std::size_t Layer::expanded_bytes() const { return formats::round_up(plan_.dense_bytes(dtype_), alignment); }

Layer::Known Layer::known(std::int64_t tokens) const {
  return known_.get(tokens, [this](std::int64_t count) {
    const Route way = route(count);
    return Known{way, scratch_of(way, count)};
  });
}

std::size_t Layer::scratch_bytes(std::int64_t tokens) const {
  return tokens <= 0 ? 0 : known(tokens).scratch;
}

/// [expanded weights] [fp32 product] [the library's own]
std::size_t Layer::scratch_of(const Route& way, std::int64_t tokens) const {
  RunArgs plain;
  plain.tokens = tokens;
  plain.bias = false;
  const CompressedProduct* product = compressed(way, plain);
  const std::size_t least = product != nullptr ? formats::round_up(product->workspace_bytes(), alignment) : 0;
  if (way.prefill)
    return std::max(
        least,
        formats::round_up(way.stored->kernel->prefill.scratch(way.stored->matrices[0], tokens), alignment));
  if (way.slice > 0) return least;
  const auto outputs = static_cast<std::size_t>(tokens * plan_.rows);
  return std::max(least, (way.stored->dense ? 0 : expanded_bytes()) +
                             formats::round_up(4 * outputs, alignment) + library_workspace);
}

void Layer::run(const RunArgs& args, const LayerWorkspace& workspace, void* stream, int copy) const {
  const Route way = known(args.tokens).route;
  if (const CompressedProduct* product = compressed(way, args); product != nullptr)
    product->enqueue(copy, args.x, args.y, args.residual, workspace.scratch, stream);
  else if (way.slice > 0)
    run_packed(way, args, workspace, stream, copy);
  else
    run_library(way, args, workspace, stream, copy);
}

void Layer::run_packed(const Route& way, const RunArgs& args, const LayerWorkspace& workspace, void* stream,
                       int copy) const {
  const std::size_t x_stride = static_cast<std::size_t>(plan_.cols) * size_of(dtype_);
  const std::size_t y_stride = static_cast<std::size_t>(plan_.rows) * size_of(dtype_);
  kernels::cuda::GpuArgs gpu;
  gpu.bias = adds_bias(args) ? reinterpret_cast<const float*>(bias_.data()) : nullptr;
  gpu.activation = args.activation;
  gpu.workspace = way.prefill ? workspace.scratch : workspace.zeroed;
  gpu.counters = reinterpret_cast<std::uint32_t*>(workspace.zeroed);
  gpu.stream = stream;
  // Portable kernels do not wait for their predecessor themselves: the launch has to.
  gpu.overlap = args.overlap && way.stored->kernel->arch != "sm80";
  for (std::int64_t token = 0; token < args.tokens; token += way.slice) {
    const auto first = static_cast<std::size_t>(token);
    gpu.x = static_cast<const std::byte*>(args.x) + first * x_stride;
    gpu.y = static_cast<std::byte*>(args.y) + first * y_stride;
    if (args.residual != nullptr)
      gpu.residual = static_cast<const std::byte*>(args.residual) + first * y_stride;
    gpu.tokens = std::min(way.slice, args.tokens - token);
    const auto launch = way.prefill ? way.stored->kernel->prefill.launch : way.stored->kernel->launch;
    check(launch(way.stored->matrices[static_cast<std::size_t>(copy)], gpu), "enqueuing a packed product");
  }
}

void Layer::run_library(const Route& way, const RunArgs& args, const LayerWorkspace& workspace, void* stream,
                        int copy) const {
  Fused fused = fused_for(args.activation, adds_bias(args), bias_exact_, args.residual != nullptr);
  const std::shared_ptr<const DenseProduct> dense = product(way, args.tokens, fused);
  const kernels::cuda::PackedMatrix& matrix = way.stored->matrices[static_cast<std::size_t>(copy)];
  std::byte* free = workspace.scratch;
  const std::byte* w = matrix.device;
  if (!way.stored->dense) {
    check(way.stored->kernel->expand(matrix, free, stream), "expanding weights");
    w = free;
    free += expanded_bytes();
  }
  std::byte* wide = free;
  free += formats::round_up(4 * static_cast<std::size_t>(args.tokens * plan_.rows), alignment);
  dense->enqueue(w, args.x, fused == Fused::wide ? wide : args.y, args.residual, free, stream);
  if (fused == Fused::wide)
    enqueue_elementwise({.acc = reinterpret_cast<const float*>(wide),
                         .bias = adds_bias(args) ? reinterpret_cast<const float*>(bias_.data()) : nullptr,
                         .residual = args.residual,
                         .y = args.y,
                         .dtype = dtype_,
                         .activation = args.activation,
                         .rows = plan_.rows,
                         .tokens = args.tokens},
                        stream);
}

std::shared_ptr<const DenseProduct> Layer::product(const Route& way, std::int64_t tokens,
                                                   Fused& fused) const {
  const auto make = [&](const std::pair<std::int64_t, Fused>& what) -> std::shared_ptr<const DenseProduct> {
    const void* bias = dtype_ == DType::fp32 ? bias_.data() : narrow_bias_.data();
    const std::string& algorithm = way.variant->tokens == tokens ? way.variant->algorithm : std::string();
    return DenseProduct::make(library_, {dtype_, plan_.rows, plan_.cols, tokens}, what.second, bias,
                              algorithm);
  };
  auto product = products_.get({tokens, fused}, make);
  if (product == nullptr && fused != Fused::wide) {
    fused = Fused::wide;
    product = products_.get({tokens, fused}, make);
  }
  if (product == nullptr)
    throw InternalError(
        fmt::format("cuBLASLt has no algorithm for {}x{} at {} tokens", plan_.rows, plan_.cols, tokens));
  return product;
}

const CompressedProduct* Layer::compressed(const Route& way, const RunArgs& args) const {
  if (!way.sparse_library || way.stored->compressed == nullptr || adds_bias(args) ||
      args.activation != Activation::none)
    return nullptr;
  return way.stored->compressed->product(args.tokens, way.variant->algorithm);
}

std::string Layer::sparse_algorithm(std::int64_t tokens) const {
  RunArgs plain;
  plain.tokens = tokens;
  plain.bias = false;
  const CompressedProduct* product = compressed(route(tokens), plain);
  return product != nullptr ? product->algorithm() : std::string();
}

void Layer::prepare(const RunArgs& args) const {
  if (args.tokens <= 0) return;
  const Route way = route(args.tokens);
  if (compressed(way, args) != nullptr || way.slice > 0) return;
  Fused fused = fused_for(args.activation, adds_bias(args), bias_exact_, args.residual != nullptr);
  product(way, args.tokens, fused);
}

std::string Layer::kernel(std::int64_t tokens) const {
  const Route way = route(tokens);
  const CuSparseLt* library = way.sparse_library ? &library_.sparse() : nullptr;
  if (!sparse_algorithm(tokens).empty()) return fmt::format("cusparselt {}", library->version());
  std::string name = way.stored->dense ? "cublaslt"
                     : way.prefill     ? fmt::format("{} prefill", way.stored->kernel->id())
                     : way.slice > 0   ? way.stored->kernel->id()
                                       : fmt::format("expand {}, cublaslt", name_of(way.stored->format));
  if (library != nullptr)
    name += ": " + (library->here() ? std::string("cuSPARSELt is not used for this shape and dtype")
                                    : library->missing());
  return name;
}

std::size_t Layer::device_bytes() const {
  std::size_t bytes = bias_.size() + narrow_bias_.size();
  for (const Stored& stored : stored_)
    bytes += stored.buffer.size() + (stored.compressed != nullptr ? stored.compressed->device_bytes() : 0);
  return bytes;
}

std::size_t Layer::weight_bytes(std::int64_t tokens) const {
  const Stored& stored = *route(tokens).stored;
  return sparse_algorithm(tokens).empty() ? stored.bytes : stored.compressed->bytes();
}

}  // namespace cross::cuda
