#include "cuda/dense_product.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <optional>

#include "cuda/error.h"

namespace cross::cuda {
namespace {

cudaDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::fp32:
      return CUDA_R_32F;
    case DType::fp16:
      return CUDA_R_16F;
    case DType::bf16:
      return CUDA_R_16BF;
  }
  return CUDA_R_32F;
}

std::optional<cublasLtEpilogue_t> epilogue_of(Fused fused) {
  switch (fused) {
    case Fused::nothing:
    case Fused::residual:
    case Fused::wide:
      return std::nullopt;
    case Fused::bias:
    case Fused::residual_bias:
      return CUBLASLT_EPILOGUE_BIAS;
    case Fused::relu:
      return CUBLASLT_EPILOGUE_RELU;
    case Fused::relu_bias:
      return CUBLASLT_EPILOGUE_RELU_BIAS;
    case Fused::gelu:
      return CUBLASLT_EPILOGUE_GELU;
    case Fused::gelu_bias:
      return CUBLASLT_EPILOGUE_GELU_BIAS;
  }
  return std::nullopt;
}

bool adds_bias(Fused fused) {
  return fused == Fused::bias || fused == Fused::relu_bias || fused == Fused::gelu_bias ||
         fused == Fused::residual_bias;
}

bool adds_residual(Fused fused) { return fused == Fused::residual || fused == Fused::residual_bias; }

std::string hex_of(const cublasLtMatmulAlgo_t& algorithm) {
  std::string text;
  for (const std::uint64_t word : algorithm.data) text += fmt::format("{:016x}", word);
  return text;
}

/// nullopt unless the text names this library version.
std::optional<cublasLtMatmulAlgo_t> algorithm_from(const std::string& text) {
  const std::string prefix = library_version() + ":";
  if (!text.starts_with(prefix)) return std::nullopt;
  cublasLtMatmulAlgo_t algorithm{};
  if (text.size() != prefix.size() + 16 * std::size(algorithm.data)) return std::nullopt;
  const char* at = text.data() + prefix.size();
  for (std::uint64_t& word : algorithm.data) {
    const auto [end, error] = std::from_chars(at, at + 16, word, 16);
    if (error != std::errc() || end != at + 16) return std::nullopt;
    at += 16;
  }
  return algorithm;
}

}  // namespace

Fused fused_for(Activation activation, bool bias, bool bias_exact, bool residual) {
  if (bias && !bias_exact) return Fused::wide;
  // The library adds the residual before its activation, we after.
  if (residual)
    return activation != Activation::none ? Fused::wide : bias ? Fused::residual_bias : Fused::residual;
  switch (activation) {
    case Activation::none:
      return bias ? Fused::bias : Fused::nothing;
    case Activation::relu:
      return bias ? Fused::relu_bias : Fused::relu;
    case Activation::gelu_tanh:
      return bias ? Fused::gelu_bias : Fused::gelu;
    case Activation::gelu:
    case Activation::silu:
      break;
  }
  return Fused::wide;
}

/// The library counts columns first: W is its A[cols, rows] transposed, x its B[cols, tokens], y its D[rows,
/// tokens].
struct DenseProduct::State {
  cublasLtHandle_t handle = nullptr;
  Fused fused = Fused::nothing;
  cublasLtMatmulDescOpaque_t operation{};
  cublasLtMatrixLayoutOpaque_t w{}, x{}, y{};
  cublasLtMatmulAlgo_t algorithm{};
  std::size_t workspace = 0;

  State(const Library& library, const DenseProblem& p, Fused what, const void* bias)
      : handle(static_cast<cublasLtHandle_t>(library.handle())), fused(what) {
    constexpr const char* doing = "describing a dense product";
    const cudaDataType_t in = type_of(p.dtype);
    const cudaDataType_t out = fused == Fused::wide ? CUDA_R_32F : in;
    const auto rows = static_cast<std::uint64_t>(p.rows);
    const auto cols = static_cast<std::uint64_t>(p.cols);
    const auto tokens = static_cast<std::uint64_t>(p.tokens);
    check_library(cublasLtMatmulDescInit(
                      &operation, p.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
                  doing);
    set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    if (const auto epilogue = epilogue_of(fused)) set(CUBLASLT_MATMUL_DESC_EPILOGUE, *epilogue);
    if (adds_bias(fused)) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    check_library(cublasLtMatrixLayoutInit(&w, in, cols, rows, p.cols), doing);
    check_library(cublasLtMatrixLayoutInit(&x, in, cols, tokens, p.cols), doing);
    check_library(cublasLtMatrixLayoutInit(&y, out, rows, tokens, p.rows), doing);
  }

  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    check_library(cublasLtMatmulDescSetAttribute(&operation, attribute, &value, sizeof value),
                  "describing a dense product");
  }

  std::vector<cublasLtMatmulHeuristicResult_t> suggestions(std::size_t most_workspace, int most,
                                                           PartialSums sums) {
    cublasLtMatmulPreferenceOpaque_t preference{};
    check_library(cublasLtMatmulPreferenceInit(&preference), "asking for algorithms");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      check_library(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value),
                    "asking for algorithms");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(most_workspace));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, std::uint32_t{256});
    for (const auto side :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      prefer(side, std::uint32_t{16});
    if (sums == PartialSums::fp32)
      prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
             std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<std::size_t>(most));
    int count = 0;
    const auto status = cublasLtMatmulAlgoGetHeuristic(handle, &operation, &w, &x, &y, &y, &preference, most,
                                                       found.data(), &count);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED)
      count = 0;
    else
      check_library(status, "asking for algorithms");
    found.resize(static_cast<std::size_t>(count));
    std::erase_if(found, [](const auto& one) { return one.state != CUBLAS_STATUS_SUCCESS; });
    return found;
  }

  bool take(const cublasLtMatmulAlgo_t& wanted) {
    cublasLtMatmulHeuristicResult_t result{};
    if (cublasLtMatmulAlgoCheck(handle, &operation, &w, &x, &y, &y, &wanted, &result) !=
            CUBLAS_STATUS_SUCCESS ||
        result.state != CUBLAS_STATUS_SUCCESS || result.workspaceSize > library_workspace)
      return false;
    algorithm = wanted;
    workspace = result.workspaceSize;
    return true;
  }
};

DenseProduct::DenseProduct(std::unique_ptr<State> state) : state_(std::move(state)) {}
DenseProduct::~DenseProduct() = default;

std::unique_ptr<DenseProduct> DenseProduct::make(const Library& library, const DenseProblem& problem,
                                                 Fused fused, const void* bias,
                                                 const std::string& algorithm) {
  auto state = std::make_unique<State>(library, problem, fused, bias);
  const auto remembered = algorithm_from(algorithm);
  if (!remembered || !state->take(*remembered)) {
    const auto found = state->suggestions(library_workspace, 1, PartialSums::fp32);
    if (found.empty()) return nullptr;
    state->algorithm = found.front().algo;
    state->workspace = found.front().workspaceSize;
  }
  return std::unique_ptr<DenseProduct>(new DenseProduct(std::move(state)));
}

std::vector<std::unique_ptr<DenseProduct>> DenseProduct::candidates(const Library& library,
                                                                    const DenseProblem& problem, int most,
                                                                    PartialSums sums) {
  std::vector<std::unique_ptr<DenseProduct>> products;
  for (const std::size_t limit : {library_workspace, std::size_t{0}}) {
    State asking(library, problem, Fused::nothing, nullptr);
    for (const auto& found : asking.suggestions(limit, most, sums)) {
      bool known = false;
      for (const auto& other : products)
        known = known || std::memcmp(&other->state_->algorithm, &found.algo, sizeof found.algo) == 0;
      if (known) continue;
      auto state = std::make_unique<State>(library, problem, Fused::nothing, nullptr);
      state->algorithm = found.algo;
      state->workspace = found.workspaceSize;
      products.push_back(std::unique_ptr<DenseProduct>(new DenseProduct(std::move(state))));
    }
  }
  return products;
}

void DenseProduct::enqueue(const void* w, const void* x, void* y, const void* residual, void* workspace,
                           void* stream) const {
  const float one = 1.0f;
  const float beta = adds_residual(state_->fused) ? 1.0f : 0.0f;
  const void* addend = adds_residual(state_->fused) ? residual : y;
  check_library(cublasLtMatmul(state_->handle, &state_->operation, &one, w, &state_->w, x, &state_->x, &beta,
                               addend, &state_->y, y, &state_->y, &state_->algorithm, workspace,
                               state_->workspace, static_cast<cudaStream_t>(stream)),
                "enqueuing a dense product");
}

bool DenseProduct::sums_in_fp32() const {
  std::uint32_t scheme = 0;
  std::size_t written = 0;
  check_library(
      cublasLtMatmulAlgoConfigGetAttribute(&state_->algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme,
                                           sizeof scheme, &written),
      "asking how an algorithm adds");
  return scheme == CUBLASLT_REDUCTION_SCHEME_NONE || scheme == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
}

std::string DenseProduct::algorithm() const { return library_version() + ":" + hex_of(state_->algorithm); }

}  // namespace cross::cuda
