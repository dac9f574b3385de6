// Running plans. A session keeps its plan alive, has its own workspace, and takes one call at a time: calls
// from several Python threads wait for one another without Python's lock.
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include "arrays.h"
#include "bindings.h"
#include "cross/cuda.h"
#include "cross/encoder.h"
#include "cross/error.h"
#include "cross/session.h"
#include "plan_bytes.h"

namespace cross::python {
namespace {

namespace nb = nanobind;
using namespace nb::literals;

Activation activation_named(const std::string& name) {
  if (const auto activation = activation_from_name(name)) return *activation;
  throw UsageError("activation \"" + name + "\" is unknown; it can be none, relu, gelu, gelu_tanh or silu");
}

std::size_t layer_index(const Plan& plan, const std::string& name) {
  for (std::size_t i = 0; i < plan.layers.size(); ++i)
    if (plan.layers[i].name == name) return i;
  throw UsageError("the plan has no layer \"" + name + "\"; `plan.layers` lists them");
}

void* pointer(std::uintptr_t address) { return reinterpret_cast<void*>(address); }

class CpuSession {
 public:
  CpuSession(std::shared_ptr<Plan> plan, int threads)
      : plan_(std::move(plan)), executor_(make_openmp_executor(threads)), session_(*plan_, *executor_) {}

  const std::shared_ptr<Plan>& plan() const { return plan_; }

  /// Addresses as integers: what torch and others hand out as data_ptr().
  void run_at(std::size_t layer, std::uintptr_t x, std::uintptr_t y, std::int64_t tokens,
              std::uintptr_t residual, const std::string& activation, bool bias) {
    RunArgs args;
    args.x = pointer(x);
    args.y = pointer(y);
    args.tokens = tokens;
    args.residual = pointer(residual);
    args.activation = activation_named(activation);
    args.bias = bias;
    const nb::gil_scoped_release free;
    const std::lock_guard alone(mutex_);
    const std::size_t lines = session_.workspace_bytes(layer, tokens) / sizeof(Line) + 1;
    if (workspace_.size() < lines) workspace_.resize(lines);
    args.workspace = std::as_writable_bytes(std::span(workspace_));
    session_.run(layer, args);
  }

  void run(const std::string& name, const ConstArray& x, const MutableArray& y,
           const std::optional<ConstArray>& residual, const std::string& activation, bool bias, bool bits) {
    const std::size_t index = layer_index(*plan_, name);
    const LayerPlan& layer = plan_->layers[index];
    const std::int64_t tokens = x.ndim() == 2 ? static_cast<std::int64_t>(x.shape(0)) : 0;
    require(x, "x", tokens, layer.cols, bits);
    require(y, "out", tokens, layer.rows, bits);
    if (residual) require(*residual, "residual", tokens, layer.rows, bits);
    run_at(index, reinterpret_cast<std::uintptr_t>(x.data()), reinterpret_cast<std::uintptr_t>(y.data()),
           tokens, residual ? reinterpret_cast<std::uintptr_t>(residual->data()) : 0, activation, bias);
  }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };

  template <class Array>
  void require(const Array& array, const char* what, std::int64_t tokens, std::int64_t width,
               bool bits) const {
    if (dtype_of(array.dtype(), bits) != plan_->dtype)
      throw UsageError(std::string(what) + " is not " + std::string(name_of(plan_->dtype)) +
                       ", the dtype of the plan");
    if (array.ndim() != 2 || static_cast<std::int64_t>(array.shape(0)) != tokens ||
        static_cast<std::int64_t>(array.shape(1)) != width)
      throw UsageError(std::string(what) + " has shape " + shape_text(array) + "; it must be (" +
                       (array.ndim() == 2 && what[0] == 'x' ? "tokens" : std::to_string(tokens)) + ", " +
                       std::to_string(width) + ")");
  }

  std::shared_ptr<Plan> plan_;
  std::unique_ptr<Executor> executor_;
  Session session_;
  std::mutex mutex_;
  std::vector<Line> workspace_;
};

/// Addresses on the GPU, streams as their handles; see cross/cuda.h for what a call may assume.
class CudaSession {
 public:
  /// @param plan stays as it is for whoever else holds it.
  CudaSession(const Plan& plan, int device) : CudaSession(std::make_shared<Plan>(plan), device, {}) {}
  /// The weights stay in the plan's bytes that lie on the device at `image`; those on the host are not kept.
  CudaSession(const PlanBytes& bytes, int device, std::uintptr_t image)
      : CudaSession(
            bytes.parse("plan"), device,
            {bytes.bytes().data(), static_cast<const std::byte*>(pointer(image)), bytes.bytes().size()}) {}

  std::size_t workspace_bytes(std::size_t layer, std::int64_t tokens) const {
    return session_.workspace_bytes(layer, tokens);
  }
  void prepare_workspace(std::uintptr_t workspace, std::size_t bytes, std::uintptr_t stream) const {
    session_.prepare_workspace(pointer(workspace), bytes, pointer(stream));
  }
  void run_at(std::size_t layer, std::uintptr_t x, std::uintptr_t y, std::int64_t tokens,
              std::uintptr_t residual, const std::string& activation, bool bias, std::uintptr_t workspace,
              std::size_t workspace_size, std::uintptr_t stream) const {
    cuda::RunArgs args;
    args.x = pointer(x);
    args.y = pointer(y);
    args.tokens = tokens;
    args.residual = pointer(residual);
    args.activation = activation_named(activation);
    args.bias = bias;
    args.workspace = pointer(workspace);
    args.workspace_bytes = workspace_size;
    session_.run(layer, args, pointer(stream));
  }
  std::string dtype() const { return std::string(name_of(plan_->dtype)); }
  std::int64_t cols(std::size_t layer) const {
    if (layer >= plan_->layers.size())
      throw UsageError("the plan has " + std::to_string(plan_->layers.size()) + " layers; layer " +
                       std::to_string(layer) + " does not exist");
    return plan_->layers[layer].cols;
  }
  std::string kernel(std::size_t layer, std::int64_t tokens) const { return session_.kernel(layer, tokens); }
  std::size_t device_bytes() const { return session_.device_bytes(); }

 private:
  CudaSession(std::shared_ptr<Plan> plan, int device, const cuda::PlanImage& image)
      : plan_(std::move(plan)), session_(for_gpu(*plan_), device, image) {
    for (LayerPlan& layer : plan_->layers)
      for (Packing& packing : layer.packings) packing.data = {};
  }

  static const Plan& for_gpu(const Plan& plan) {
    if (plan.device != "cuda")
      throw UsageError("layer " + (plan.layers.empty() ? std::string() : plan.layers[0].name) +
                       " was compiled for " + plan.device +
                       ", but its plan lies on a GPU; sparsify the model on the device that is to run it");
    return plan;
  }

  std::shared_ptr<Plan> plan_;  ///< without the bytes of its weights, which are on the device
  cuda::Session session_;
};

class TextEncoder {
 public:
  TextEncoder(std::shared_ptr<Plan> plan, int threads)
      : plan_(std::move(plan)), executor_(make_openmp_executor(threads)), encoder_(*plan_, *executor_) {}

  nb::ndarray<nb::numpy, float, nb::ndim<2>> embed(const std::vector<std::string>& texts, std::size_t batch) {
    if (batch == 0) throw UsageError("batch 0 makes no sense; use 1 or more sentences");
    auto values = std::make_unique<std::vector<float>>();
    {
      const nb::gil_scoped_release free;
      const std::lock_guard alone(mutex_);
      *values = encoder_.embed(texts, batch);
    }
    const std::size_t shape[2] = {texts.size(), static_cast<std::size_t>(encoder_.info().hidden)};
    float* data = values->data();
    const nb::capsule owner(values.release(),
                            [](void* at) noexcept { delete static_cast<std::vector<float>*>(at); });
    return nb::ndarray<nb::numpy, float, nb::ndim<2>>(data, 2, shape, owner);
  }
  std::vector<std::int32_t> tokenize(const std::string& text) const { return encoder_.tokenize(text); }
  const EncoderInfo& info() const { return encoder_.info(); }

 private:
  std::shared_ptr<Plan> plan_;
  std::unique_ptr<Executor> executor_;
  Encoder encoder_;
  std::mutex mutex_;
};

}  // namespace

void bind_sessions(nb::module_& m) {
  nb::class_<CpuSession>(m, "CpuSession", "A plan made ready to run on this CPU.")
      .def(nb::init<std::shared_ptr<Plan>, int>(), "plan"_a, "threads"_a = 0)
      .def_prop_ro("plan", &CpuSession::plan)
      .def("run", &CpuSession::run, "layer"_a, "x"_a.noconvert(), "out"_a.noconvert(),
           "residual"_a.noconvert().none() = nb::none(), "activation"_a = "none", "bias"_a = true,
           "bits"_a = false,
           nb::sig("def run(self, layer: str, x: typing.Any, out: typing.Any, residual: typing.Any = None, "
                   "activation: str = 'none', bias: bool = True, bits: bool = False) -> None"),
           "y = activation(x·Wᵀ + bias) + residual on arrays (tokens, features); `bits`: 16-bit integers are "
           "bf16.")
      .def("run_at", &CpuSession::run_at, "layer"_a, "x"_a, "y"_a, "tokens"_a, "residual"_a, "activation"_a,
           "bias"_a, "The same on addresses, unchecked; `layer` is an index.");
  nb::class_<CudaSession>(m, "CudaSession", "A plan uploaded to one GPU. Addresses and streams are integers.")
      .def(nb::init<const Plan&, int>(), "plan"_a, "device"_a = 0, nb::call_guard<nb::gil_scoped_release>())
      .def_static(
          "of_image",
          [](const nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>& array,
             int device, std::uintptr_t image) {
            const nb::gil_scoped_release free;
            const PlanBytes bytes({reinterpret_cast<const std::byte*>(array.data()), array.size()});
            return std::make_unique<CudaSession>(bytes, device, image);
          },
          "array"_a, "device"_a, "image"_a,
          nb::sig("def of_image(array: typing.Any, device: int, image: int) -> CudaSession"),
          "A session over a plan's bytes, of which the device holds a copy at address `image` that the "
          "caller keeps.")
      .def_prop_ro("dtype", &CudaSession::dtype, "Of weights, x and y.")
      .def("cols", &CudaSession::cols, "layer"_a, "Width of x.")
      .def("workspace_bytes", &CudaSession::workspace_bytes, "layer"_a, "tokens"_a)
      .def("prepare_workspace", &CudaSession::prepare_workspace, "workspace"_a, "bytes"_a, "stream"_a)
      .def("run_at", &CudaSession::run_at, "layer"_a, "x"_a, "y"_a, "tokens"_a, "residual"_a, "activation"_a,
           "bias"_a, "workspace"_a, "workspace_bytes"_a, "stream"_a, nb::call_guard<nb::gil_scoped_release>())
      .def("kernel", &CudaSession::kernel, "layer"_a, "tokens"_a, "What a run does, e.g. \"delta4.sm90\".")
      .def_prop_ro("device_bytes", &CudaSession::device_bytes);
  nb::class_<cuda::DeviceMemory>(m, "DeviceMemory", "Memory of a GPU outside the allocators of frameworks.")
      .def(nb::init<std::size_t, int>(), "bytes"_a, "device"_a = 0)
      .def_prop_ro(
          "address",
          [](const cuda::DeviceMemory& memory) { return reinterpret_cast<std::uintptr_t>(memory.data()); })
      .def_prop_ro("bytes", &cuda::DeviceMemory::size);
  nb::class_<TextEncoder>(m, "Encoder", "A model plan of an encoder: text in, embeddings out, on the CPU.")
      .def(nb::init<std::shared_ptr<Plan>, int>(), "plan"_a, "threads"_a = 0)
      .def("embed", &TextEncoder::embed, "texts"_a, "batch"_a = 32,
           nb::sig("def embed(self, texts: collections.abc.Sequence[str], batch: int = 32) -> "
                   "numpy.typing.NDArray[numpy.float32]"),
           "Embeddings as float32 (sentences, hidden), in the order of the texts.")
      .def("tokenize", &TextEncoder::tokenize, "text"_a,
           "Token numbers of one sentence, cut to `most_tokens`.")
      .def_prop_ro(
          "hidden", [](const TextEncoder& encoder) { return encoder.info().hidden; },
          "Width of an embedding.")
      .def_prop_ro(
          "most_tokens", [](const TextEncoder& encoder) { return encoder.info().most_tokens; },
          "Tokens of a sentence; what is longer is cut.");
}

}  // namespace cross::python
