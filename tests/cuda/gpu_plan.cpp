#include "cuda/gpu_plan.h"

#include <algorithm>

#include "compiler/pack/gpu/pack_gpu.h"
#include "cross/executor.h"
#include "cuda/gpu_test.h"
#include "plan/formats/layout.h"

namespace cross::testing {

namespace {

/// Most tokens that the 16-bit formats' packed kernels take; fp32's take any number.
constexpr std::int64_t most_of_halves = 64;

}  // namespace

LayerPlan gpu_layer(const MatrixView& weight, const GpuRecipe& recipe) {
  const bool fp32 = weight.dtype == DType::fp32;
  LayerPlan layer;
  layer.name = "layer";
  layer.rows = weight.rows;
  layer.cols = weight.cols;
  layer.source_dtype = weight.dtype;
  layer.bias = recipe.bias;
  Packing packing;
  packing.arithmetic = fp32 ? PlanArithmetic::fp32 : PlanArithmetic::mma;
  std::vector<std::byte> bytes;
  if (recipe.format == Format::dense) {
    bytes.assign(weight.data, weight.data + weight.bytes());
    for (std::int64_t r = 0; r < weight.rows; ++r)
      for (std::int64_t c = 0; c < weight.cols; ++c) layer.nnz += weight.bits(r, c) != 0 ? 1 : 0;
  } else {
    compiler::GpuTarget target;
    target.sms = first_gpu()->sms;
    target.shared_bytes = first_gpu()->shared_bytes;
    target.tokens = fp32 ? recipe.tokens.back() : std::min(recipe.tokens.back(), most_of_halves);
    bytes = compiler::pack_gpu(weight, weight.dtype, recipe.format, target, available_cores(), layer.nnz);
    packing.panels.push_back(
        {0, static_cast<int>(weight.rows), {{recipe.format, 0, weight.cols, 0, bytes.size(), 0, 0}}});
  }
  bytes.resize(formats::round_up(bytes.size(), 64) + formats::segment_overread);
  packing.data = Blob::own(std::move(bytes));
  layer.packings.push_back(std::move(packing));
  for (const std::int64_t tokens : recipe.tokens) {
    Variant variant;
    variant.tokens = tokens;
    variant.shape = recipe.format == Format::dense ? "library" : recipe.shape;
    if (variant.shape == "library" || variant.shape == "expand") variant.library = "cublaslt";
    layer.variants.push_back(variant);
  }
  return layer;
}

Plan gpu_plan(const MatrixView& weight, const GpuRecipe& recipe) {
  Plan plan;
  plan.device = "cuda";
  plan.dtype = weight.dtype;
  plan.sm = first_gpu()->sm();
  plan.sms = first_gpu()->sms;
  plan.layers.push_back(gpu_layer(weight, recipe));
  return plan;
}

SessionCall::SessionCall(const cuda::Session& session, std::size_t layer, const Halves& x, std::int64_t rows)
    : session_(session),
      layer_(layer),
      dtype_(x.dtype),
      tokens_(x.rows),
      rows_(rows),
      x_(x.bits.size() * 2, "x"),
      y_(static_cast<std::size_t>(tokens_ * rows) * 2, "y"),
      workspace_(session.workspace_bytes(layer, tokens_), "a workspace") {
  x_.upload(x.bytes());
  workspace_.fill(0xff);
  const cuda::Stream stream;
  session.prepare_workspace(workspace_.data(), workspace_.size(), stream.get());
  stream.wait();
}

void SessionCall::set_residual(const Halves& residual) {
  residual_ = cuda::DeviceBuffer(residual.bits.size() * 2, "a residual");
  residual_.upload(residual.bytes());
}

void SessionCall::enqueue(void* stream, const cuda::RunArgs& epilogue) {
  y_.fill(0xff);
  enqueue_only(stream, epilogue);
}

void SessionCall::enqueue_only(void* stream, const cuda::RunArgs& epilogue) const {
  cuda::RunArgs args = epilogue;
  args.x = x_.data();
  args.y = y_.data();
  args.tokens = tokens_;
  args.residual = residual_.data();
  args.workspace = workspace_.data();
  args.workspace_bytes = workspace_.size();
  session_.run(layer_, args, stream);
}

Halves SessionCall::result() const {
  Halves y(dtype_, tokens_, rows_);
  y_.download(std::as_writable_bytes(std::span(y.bits)));
  return y;
}

}  // namespace cross::testing
