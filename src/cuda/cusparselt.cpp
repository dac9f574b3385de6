#include "cuda/cusparselt.h"

#include <cuda_runtime_api.h>
#include <cusparse.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <library_types.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "cross/error.h"
#include "cuda/replay.h"

namespace cross::cuda {
namespace {

/// The library's handles are plain memory of its caller, 512 bytes in version 0.8, more in some before.
struct alignas(16) Opaque {
  std::array<std::byte, 16384> bytes{};
};

// The part of the library's interface that is used here, as its documentation has it since version 0.6.
constexpr int oldest_version = 600;
constexpr int half_sparse = 0, compute_32f = 2;
constexpr int algorithm_default = 0;
constexpr int attribute_id = 0, attribute_max_id = 1, attribute_split_k = 3, attribute_split_mode = 4,
              attribute_split_buffers = 5;
constexpr int success = 0;

void check(int status, const char* what) {
  if (status != success) throw InternalError(fmt::format("cuSPARSELt: status {} while {}", status, what));
}

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
  if (std::string_view(file) == "off") {
    missing_ = "CROSS_CUSPARSELT is \"off\"";
    return;
  }
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

/// Descriptors, selection and plan refer to each other and do not move.
struct CompressedProduct::State {
  const CompressedMatrix& matrix;
  const CuSparseLt::Functions& f;
  Opaque w, x, y, product, selection, plan;
  int matrices = 0;  ///< of w, x, y that there are
  bool planned = false;
  std::size_t workspace = 0;
  /// The library does not say that a plan may be used by several threads at once.
  mutable std::mutex mutex;

  explicit State(const CompressedMatrix& m) : matrix(m), f(m.library().functions()) {}
  ~State() {
    if (planned) f.plan_destroy(&plan);
    const Opaque* all[] = {&w, &x, &y};
    for (int i = 0; i < matrices; ++i) f.matrix_destroy(all[i]);
  }

  bool describe(std::int64_t tokens) {
    constexpr std::uint32_t alignment = 16;
    const int type = matrix.dtype() == DType::fp16 ? CUDA_R_16F : CUDA_R_16BF;
    const std::int64_t rows = matrix.rows(), cols = matrix.cols();
    if (f.structured(&f.handle, &w, rows, cols, cols, alignment, type, CUSPARSE_ORDER_ROW, half_sparse) !=
        success)
      return false;
    ++matrices;
    if (f.dense(&f.handle, &x, tokens, cols, cols, alignment, type, CUSPARSE_ORDER_ROW) != success)
      return false;
    ++matrices;
    if (f.dense(&f.handle, &y, rows, tokens, rows, alignment, type, CUSPARSE_ORDER_COL) != success)
      return false;
    ++matrices;
    return f.product(&f.handle, &product, CUSPARSE_OPERATION_NON_TRANSPOSE, CUSPARSE_OPERATION_TRANSPOSE, &w,
                     &x, &y, &y, compute_32f) == success &&
           f.selection(&f.handle, &selection, &product, algorithm_default) == success;
  }
  bool make_plan() {
    if (f.plan(&f.handle, &plan, &product, &selection) != success) return false;
    planned = true;
    return f.workspace(&f.handle, &plan, &workspace) == success;
  }
  int value(int attribute) const {
    int found = 0;
    return f.get(&f.handle, &selection, attribute, &found, sizeof found) == success ? found : 0;
  }
  bool set(int attribute, int wanted) {
    return f.set(&f.handle, &selection, attribute, &wanted, sizeof wanted) == success;
  }
  /// Takes what `algorithm()` wrote.
  bool set_algorithm(const std::string& text) {
    int id = 0, split_k = 0, mode = 0, buffers = 0;
    const std::string version = matrix.library().version() + ":";
    if (text.rfind(version, 0) != 0 ||
        std::sscanf(text.c_str() + version.size(), "%d:%d:%d:%d", &id, &split_k, &mode, &buffers) != 4)
      return false;
    if (!set(attribute_id, id)) return false;
    return split_k <= 1 || (set(attribute_split_k, split_k) && set(attribute_split_mode, mode) &&
                            set(attribute_split_buffers, buffers));
  }
  int run(const void* weights, const void* from, void* to, const void* add, void* scratch,
          void* stream) const {
    const float one = 1, beta = add != nullptr ? 1 : 0;
    auto on = static_cast<cudaStream_t>(stream);
    const std::lock_guard lock(mutex);
    return f.multiply(&f.handle, &plan, &one, weights, from, &beta, add != nullptr ? add : to, to, scratch,
                      &on, 1);
  }
};

namespace {

/// Any product gives the same compressed form.
constexpr std::int64_t tokens_of_compression = 256;

}  // namespace

std::unique_ptr<CompressedMatrix> CompressedMatrix::make(const CuSparseLt& library, DType dtype,
                                                         std::int64_t rows, std::int64_t cols,
                                                         const void* dense, int copies) {
  std::unique_ptr<CompressedMatrix> made(new CompressedMatrix(library, dtype, rows, cols));
  CompressedProduct::State with(*made);
  if (!with.describe(tokens_of_compression) || !with.make_plan()) return nullptr;
  std::size_t scratch_bytes = 0;
  check(with.f.compressed_size(&with.f.handle, &with.plan, &made->bytes_, &scratch_bytes),
        "asking for the compressed size");
  constexpr std::size_t alignment = 256;
  made->stride_ = (made->bytes_ + alignment - 1) / alignment * alignment;
  made->data_ = DeviceBuffer(made->stride_ * static_cast<std::size_t>(copies), "cuSPARSELt's weights");
  const DeviceBuffer scratch(scratch_bytes, "cuSPARSELt's compression");
  const Stream stream;
  check(with.f.compress(&with.f.handle, &with.plan, dense, made->data_.data(), scratch.data(),
                        static_cast<cudaStream_t>(stream.get())),
        "compressing weights");
  stream.wait();
  made->data_.repeat(made->stride_);
  return made;
}

CompressedProduct::CompressedProduct(std::unique_ptr<State> state) : state_(std::move(state)) {}
CompressedProduct::~CompressedProduct() = default;

std::unique_ptr<CompressedProduct> CompressedProduct::make(const CompressedMatrix& matrix,
                                                           std::int64_t tokens,
                                                           const std::string& algorithm) {
  for (const bool remembered : {true, false}) {
    if (remembered && algorithm.empty()) continue;
    auto state = std::make_unique<State>(matrix);
    if (!state->describe(tokens)) return nullptr;
    if (remembered && !state->set_algorithm(algorithm)) continue;
    if (state->make_plan())
      return std::unique_ptr<CompressedProduct>(new CompressedProduct(std::move(state)));
  }
  return nullptr;
}

std::vector<std::unique_ptr<CompressedProduct>> CompressedProduct::candidates(const CompressedMatrix& matrix,
                                                                              std::int64_t tokens,
                                                                              const void* x, void* y) {
  std::vector<std::unique_ptr<CompressedProduct>> all;
  int most = 1;
  for (int id = 0; id < most; ++id) {
    auto state = std::make_unique<State>(matrix);
    if (!state->describe(tokens)) return all;
    most = state->value(attribute_max_id);
    if (state->set(attribute_id, id) && state->make_plan())
      all.emplace_back(new CompressedProduct(std::move(state)));
  }
  if (auto searched = make(matrix, tokens)) {
    State& s = *searched->state_;
    const float one = 1, zero = 0;
    const DeviceBuffer workspace(std::max<std::size_t>(s.workspace, 1), "cuSPARSELt's workspace");
    const Stream stream;
    auto on = static_cast<cudaStream_t>(stream.get());
    const int status =
        s.f.search(&s.f.handle, &s.plan, &one, matrix.copy(0), x, &zero, y, y, workspace.data(), &on, 1);
    stream.wait();
    if (status == success && s.f.workspace(&s.f.handle, &s.plan, &s.workspace) == success)
      all.push_back(std::move(searched));
  }
  return all;
}

std::size_t CompressedProduct::workspace_bytes() const { return state_->workspace; }

void CompressedProduct::enqueue(int copy, const void* x, void* y, const void* residual, void* workspace,
                                void* stream) const {
  check(state_->run(state_->matrix.copy(copy), x, y, residual, workspace, stream), "enqueuing a product");
}

std::string CompressedProduct::algorithm() const {
  const State& s = *state_;
  return fmt::format("{}:{}:{}:{}:{}", s.matrix.library().version(), s.value(attribute_id),
                     std::max(0, s.value(attribute_split_k)), std::max(0, s.value(attribute_split_mode)),
                     std::max(0, s.value(attribute_split_buffers)));
}

BestCompressed best_compressed(const CompressedMatrix& matrix, int copies, std::int64_t tokens, const void* x,
                               void* y) {
  constexpr int launches = 8;
  constexpr std::size_t first_look = 3, finalists = 4, rounds = 4;
  constexpr double burst = 0.015;
  struct Timed {
    std::unique_ptr<CompressedProduct> product;
    std::unique_ptr<Replay> replay;
    double us;
  };
  std::vector<Timed> timed;
  auto products = CompressedProduct::candidates(matrix, tokens, x, y);
  std::size_t most = 1;
  for (const auto& product : products) most = std::max(most, product->workspace_bytes());
  const DeviceBuffer workspace(most, "cuSPARSELt's workspace");
  for (auto& product : products) {
    try {
      auto replay = std::make_unique<Replay>(launches, [&](int launch, void* stream) {
        product->enqueue(launch % copies, x, y, nullptr, workspace.data(), stream);
      });
      const double us = summary(interleave({replay.get()}, {.least = first_look})[0]).median_us;
      timed.push_back({std::move(product), std::move(replay), us});
    } catch (const InternalError&) {
      continue;  // it does not run, or cannot be captured
    }
  }
  if (timed.empty()) return {};
  const int tried = static_cast<int>(timed.size());
  const auto faster = [](const Timed& a, const Timed& b) { return a.us < b.us; };
  std::stable_sort(timed.begin(), timed.end(), faster);
  timed.resize(std::min(timed.size(), finalists));
  // Where power limits the clocks, what ran before decides a short look: the best take turns.
  std::vector<Replay*> replays;
  for (const Timed& one : timed) replays.push_back(one.replay.get());
  auto samples = interleave(replays, {.least = rounds, .burst = burst, .settle = true});
  for (std::size_t i = 0; i < timed.size(); ++i) timed[i].us = summary(std::move(samples[i])).median_us;
  auto best = std::min_element(timed.begin(), timed.end(), faster);
  return {std::move(best->product), best->us, tried};
}

}  // namespace cross::cuda
