#include "gpu/cusparselt.h"

#include <cuda_runtime_api.h>
#include <cusparse.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <library_types.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "cross/error.h"
#include "cuda/replay.h"

namespace cross_bench {
namespace {

using cross::cuda::DeviceBuffer;

/// The library's handles are plain memory of its caller, 512 bytes in version 0.8, more in some before.
struct alignas(16) Opaque {
  std::array<std::byte, 16384> bytes{};
};

// The part of the library's interface that is used here, as its documentation has it since version 0.6.
constexpr int oldest_version = 600;
constexpr int half_sparse = 0, compute_32f = 2;
constexpr int algorithm_default = 0, attribute_id = 0, attribute_max_id = 1;
constexpr int success = 0;

}  // namespace

struct CuSparseLt::Functions {
  void* library = nullptr;
  int version = 0;
  Opaque handle;

  int (*init)(Opaque*) = nullptr;
  int (*destroy)(const Opaque*) = nullptr;
  int (*get_version)(const Opaque*, int*) = nullptr;
  int (*structured)(const Opaque*, Opaque*, std::int64_t, std::int64_t, std::int64_t, std::uint32_t, int, int,
                    int) = nullptr;
  int (*dense)(const Opaque*, Opaque*, std::int64_t, std::int64_t, std::int64_t, std::uint32_t, int,
               int) = nullptr;
  int (*matrix_destroy)(const Opaque*) = nullptr;
  int (*product)(const Opaque*, Opaque*, int, int, const Opaque*, const Opaque*, const Opaque*, const Opaque*,
                 int) = nullptr;
  int (*selection)(const Opaque*, Opaque*, const Opaque*, int) = nullptr;
  int (*set)(const Opaque*, Opaque*, int, const void*, std::size_t) = nullptr;
  int (*get)(const Opaque*, const Opaque*, int, void*, std::size_t) = nullptr;
  int (*workspace)(const Opaque*, const Opaque*, std::size_t*) = nullptr;
  int (*plan)(const Opaque*, Opaque*, const Opaque*, const Opaque*) = nullptr;
  int (*plan_destroy)(const Opaque*) = nullptr;
  int (*multiply)(const Opaque*, const Opaque*, const void*, const void*, const void*, const void*,
                  const void*, void*, void*, cudaStream_t*, std::int32_t) = nullptr;
  int (*search)(const Opaque*, Opaque*, const void*, const void*, const void*, const void*, const void*,
                void*, void*, cudaStream_t*, std::int32_t) = nullptr;
  int (*compressed_size)(const Opaque*, const Opaque*, std::size_t*, std::size_t*) = nullptr;
  int (*compress)(const Opaque*, const Opaque*, const void*, void*, void*, cudaStream_t) = nullptr;

  /// The first name that the library lacks, or empty.
  std::string bind() {
    std::string lacking;
    const auto one = [&](auto& function, const char* name) {
      void* found = dlsym(library, name);
      if (found == nullptr && lacking.empty()) lacking = name;
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found);
    };
    one(init, "cusparseLtInit");
    one(destroy, "cusparseLtDestroy");
    one(get_version, "cusparseLtGetVersion");
    one(structured, "cusparseLtStructuredDescriptorInit");
    one(dense, "cusparseLtDenseDescriptorInit");
    one(matrix_destroy, "cusparseLtMatDescriptorDestroy");
    one(product, "cusparseLtMatmulDescriptorInit");
    one(selection, "cusparseLtMatmulAlgSelectionInit");
    one(set, "cusparseLtMatmulAlgSetAttribute");
    one(get, "cusparseLtMatmulAlgGetAttribute");
    one(workspace, "cusparseLtMatmulGetWorkspace");
    one(plan, "cusparseLtMatmulPlanInit");
    one(plan_destroy, "cusparseLtMatmulPlanDestroy");
    one(multiply, "cusparseLtMatmul");
    one(search, "cusparseLtMatmulSearch");
    one(compressed_size, "cusparseLtSpMMACompressedSize");
    one(compress, "cusparseLtSpMMACompress");
    return lacking;
  }
};

CuSparseLt::CuSparseLt() : functions_(std::make_unique<Functions>()) {
  Functions& f = *functions_;
  const char* named = std::getenv("CROSS_CUSPARSELT");
  const char* file = named != nullptr && *named != '\0' ? named : "libcusparseLt.so.0";
  f.library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (f.library == nullptr) {
    missing_ = fmt::format("cuSPARSELt is not here ({}); CROSS_CUSPARSELT may name the file", dlerror());
    return;
  }
  if (const std::string lacking = f.bind(); !lacking.empty()) {
    missing_ = fmt::format("{} has no {}", file, lacking);
    return;
  }
  if (const int status = f.init(&f.handle); status != success) {
    missing_ = fmt::format("{} does not start: status {}", file, status);
    return;
  }
  f.get_version(&f.handle, &f.version);
  if (f.version < oldest_version) missing_ = fmt::format("{} is version {}, older than 0.6", file, f.version);
}

CuSparseLt::~CuSparseLt() {
  if (functions_->library == nullptr) return;
  if (functions_->version != 0) functions_->destroy(&functions_->handle);
  dlclose(functions_->library);
}

std::string CuSparseLt::version() const {
  const int v = functions_->version;
  return fmt::format("{}.{}.{}", v / 1000, v % 1000 / 100, v % 100);
}

struct CuSparseLtProduct::State {
  const CuSparseLt::Functions& f;
  std::size_t l2_bytes;
  cudaDataType_t type;
  Shape shape;
  DeviceBuffer dense, compressed, workspace;
  std::size_t stride = 0, size = 0;
  int copies = 1, tried = 0;
  const void* x = nullptr;
  void* y = nullptr;
  Opaque w_matrix, x_matrix, y_matrix, product;
  bool described = false;
  /// A plan may refer to the selection that it was made of: each has its own, and neither moves.
  struct Plan {
    Opaque selection, plan;
  };
  std::vector<std::unique_ptr<Plan>> plans;
  const Opaque* best = nullptr;
  bool captured = true;

  void check(int status, const char* what) const {
    if (status != success)
      throw cross::InternalError(fmt::format("cuSPARSELt: status {} while {}", status, what));
  }
  void forget() {
    for (const auto& plan : plans) f.plan_destroy(&plan->plan);
    plans.clear();
    best = nullptr;
    if (!described) return;
    for (const Opaque* matrix : {&w_matrix, &x_matrix, &y_matrix}) f.matrix_destroy(matrix);
    described = false;
  }
  ~State() { forget(); }

  int run(const Opaque& plan, int launch, void* stream) const {
    const float one = 1, zero = 0;
    auto on = static_cast<cudaStream_t>(stream);
    return f.multiply(&f.handle, &plan, &one,
                      compressed.data() + stride * static_cast<std::size_t>(launch % copies), x, &zero, y, y,
                      workspace.data(), &on, 1);
  }
  void reserve(const Opaque& plan) {
    std::size_t bytes = 0;
    check(f.workspace(&f.handle, &plan, &bytes), "asking for a workspace");
    if (bytes > workspace.size()) workspace = DeviceBuffer(bytes, "cuSPARSELt's workspace");
  }
  void describe(std::int64_t tokens) {
    constexpr std::uint32_t alignment = 16;
    const auto [rows, cols] = shape;
    check(f.structured(&f.handle, &w_matrix, rows, cols, cols, alignment, type, CUSPARSE_ORDER_ROW,
                       half_sparse),
          "describing w");
    check(f.dense(&f.handle, &x_matrix, tokens, cols, cols, alignment, type, CUSPARSE_ORDER_ROW),
          "describing x");
    check(f.dense(&f.handle, &y_matrix, rows, tokens, rows, alignment, type, CUSPARSE_ORDER_COL),
          "describing y");
    described = true;
    check(f.product(&f.handle, &product, CUSPARSE_OPERATION_NON_TRANSPOSE, CUSPARSE_OPERATION_TRANSPOSE,
                    &w_matrix, &x_matrix, &y_matrix, &y_matrix, compute_32f),
          "describing the product");
  }
  void compress(const Opaque& plan) {
    if (size != 0) return;
    std::size_t scratch_bytes = 0;
    check(f.compressed_size(&f.handle, &plan, &size, &scratch_bytes), "asking for the compressed size");
    stride = (size + 255) / 256 * 256;
    copies = cross::cuda::copies_beyond_cache(size, l2_bytes);
    compressed = DeviceBuffer(stride * static_cast<std::size_t>(copies), "cuSPARSELt's weights");
    const DeviceBuffer scratch(scratch_bytes, "cuSPARSELt's compression");
    const cross::cuda::Stream stream;
    check(f.compress(&f.handle, &plan, dense.data(), compressed.data(), scratch.data(),
                     static_cast<cudaStream_t>(stream.get())),
          "compressing weights");
    stream.wait();
    compressed.repeat(stride);
  }
};

CuSparseLtProduct::CuSparseLtProduct(const CuSparseLt& library, const Weight& weight, std::size_t l2_bytes)
    : state_(new State{library.functions(),
                       l2_bytes,
                       weight.dtype == cross::DType::fp16 ? CUDA_R_16F : CUDA_R_16BF,
                       weight.shape,
                       DeviceBuffer(weight.bytes.size(), "weights for cuSPARSELt"),
                       {},
                       {},
                       0,
                       0,
                       1,
                       0,
                       nullptr,
                       nullptr,
                       {},
                       {},
                       {},
                       {},
                       false,
                       {},
                       nullptr,
                       true}) {
  state_->dense.upload(weight.bytes);
}

CuSparseLtProduct::~CuSparseLtProduct() = default;

void CuSparseLtProduct::use(std::int64_t tokens, const void* x, void* y) {
  State& s = *state_;
  s.forget();
  s.x = x;
  s.y = y;
  s.describe(tokens);
  // With algorithm `id`, or the library's first choice.
  const auto plan = [&](const int* id) -> Opaque* {
    auto made = std::make_unique<State::Plan>();
    s.check(s.f.selection(&s.f.handle, &made->selection, &s.product, algorithm_default),
            "asking for algorithms");
    if (id != nullptr && s.f.set(&s.f.handle, &made->selection, attribute_id, id, sizeof *id) != success)
      return nullptr;
    if (s.f.plan(&s.f.handle, &made->plan, &s.product, &made->selection) != success) return nullptr;
    s.plans.push_back(std::move(made));
    return &s.plans.back()->plan;
  };
  double best_us = 0;
  s.tried = 0;
  constexpr int launches = 8;
  const auto consider = [&](const Opaque* one) {
    if (one == nullptr) return;
    s.reserve(*one);
    const cross::cuda::Stream stream;
    if (s.run(*one, 0, stream.get()) != success) return;
    stream.wait();
    ++s.tried;
    const cross::cuda::Enqueue enqueue = [&](int launch, void* on) {
      s.check(s.run(*one, launch, on), "enqueuing a product");
    };
    std::unique_ptr<cross::cuda::Replay> replay;
    bool captured = true;
    try {
      replay = std::make_unique<cross::cuda::Replay>(launches, enqueue);
    } catch (const cross::InternalError&) {
      captured = false;
      replay = cross::cuda::Replay::eager(launches, enqueue);
    }
    const double us = cross::cuda::summary(cross::cuda::interleave({replay.get()}, 0, 3)[0]).median_us;
    if (s.best != nullptr && us >= best_us) return;
    best_us = us;
    s.best = one;
    s.captured = captured;
  };
  const Opaque* first = plan(nullptr);
  if (first == nullptr) throw cross::InternalError("cuSPARSELt: has no plan");
  s.compress(*first);
  int most = 1;
  s.check(s.f.get(&s.f.handle, &s.plans.front()->selection, attribute_max_id, &most, sizeof most),
          "counting algorithms");
  for (int id = 0; id < most; ++id) consider(plan(&id));
  if (Opaque* searched = plan(nullptr)) {
    s.reserve(*searched);
    const float one = 1, zero = 0;
    const cross::cuda::Stream stream;
    auto on = static_cast<cudaStream_t>(stream.get());
    const int status = s.f.search(&s.f.handle, searched, &one, s.compressed.data(), x, &zero, y, y,
                                  s.workspace.data(), &on, 1);
    stream.wait();
    if (status == success) consider(searched);
  }
  if (s.best == nullptr) throw cross::InternalError("cuSPARSELt: no algorithm runs");
}

int CuSparseLtProduct::copies() const { return state_->copies; }
int CuSparseLtProduct::algorithms() const { return state_->tried; }
bool CuSparseLtProduct::capturable() const { return state_->captured; }
std::uint64_t CuSparseLtProduct::bytes() const { return state_->size; }

void CuSparseLtProduct::enqueue(int launch, void* stream) const {
  state_->check(state_->run(*state_->best, launch, stream), "enqueuing a product");
}

}  // namespace cross_bench
