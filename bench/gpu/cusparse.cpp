#include "gpu/cusparse.h"

#include <cusparse.h>
#include <fmt/format.h>

#include <cstring>

#include "cross/error.h"
#include "cuda/replay.h"

namespace cross_bench {
namespace {

using cross::cuda::DeviceBuffer;

void check(cusparseStatus_t status, const char* what) {
  if (status != CUSPARSE_STATUS_SUCCESS)
    throw cross::InternalError(fmt::format("cuSPARSE: {} while {}", cusparseGetErrorString(status), what));
}

constexpr cusparseSpMMAlg_t matrix_algorithms[] = {CUSPARSE_SPMM_CSR_ALG1, CUSPARSE_SPMM_CSR_ALG2,
                                                   CUSPARSE_SPMM_CSR_ALG3};
constexpr cusparseSpMVAlg_t vector_algorithms[] = {CUSPARSE_SPMV_CSR_ALG1, CUSPARSE_SPMV_CSR_ALG2};

}  // namespace

Csr csr_of(const Weight& weight) {
  Csr csr{weight.dtype, weight.shape, {0}, {}, {}};
  const std::size_t size = size_of(weight.dtype);
  const cross::MatrixView matrix = weight.view();
  for (std::int64_t r = 0; r < weight.shape.rows; ++r) {
    for (std::int64_t c = 0; c < weight.shape.cols; ++c) {
      const std::uint32_t stored = matrix.bits(r, c);
      if (stored == 0) continue;
      csr.columns.push_back(static_cast<std::int32_t>(c));
      csr.values.resize(csr.values.size() + size);
      std::memcpy(csr.values.data() + csr.values.size() - size, &stored, size);
    }
    csr.row_offsets.push_back(static_cast<std::int32_t>(csr.columns.size()));
  }
  return csr;
}

struct CuSparseProduct::State {
  cusparseHandle_t handle = nullptr;
  cudaDataType_t type = CUDA_R_16F;
  Shape shape;
  std::int64_t tokens = 0;
  DeviceBuffer offsets, columns, values;  ///< all copies
  std::vector<cusparseSpMatDescr_t> matrices;
  cusparseDnMatDescr_t x_matrix = nullptr, y_matrix = nullptr;
  cusparseDnVecDescr_t x_vector = nullptr, y_vector = nullptr;
  DeviceBuffer workspace;
  std::size_t algorithm = 0;

  void forget_vectors() {
    if (x_matrix != nullptr) cusparseDestroyDnMat(x_matrix);
    if (y_matrix != nullptr) cusparseDestroyDnMat(y_matrix);
    if (x_vector != nullptr) cusparseDestroyDnVec(x_vector);
    if (y_vector != nullptr) cusparseDestroyDnVec(y_vector);
    x_matrix = y_matrix = nullptr;
    x_vector = y_vector = nullptr;
  }
  ~State() {
    for (const auto matrix : matrices) cusparseDestroySpMat(matrix);
    forget_vectors();
    cusparseDestroy(handle);
  }
};

CuSparseProduct::CuSparseProduct(const Csr& csr, std::size_t l2_bytes) : state_(std::make_unique<State>()) {
  State& s = *state_;
  check(cusparseCreate(&s.handle), "starting the library");
  s.type = csr.dtype == cross::DType::fp32   ? CUDA_R_32F
           : csr.dtype == cross::DType::fp16 ? CUDA_R_16F
                                             : CUDA_R_16BF;
  s.shape = csr.shape;
  const auto nnz = static_cast<std::int64_t>(csr.columns.size());
  const auto offsets = std::as_bytes(std::span(csr.row_offsets));
  const auto columns = std::as_bytes(std::span(csr.columns));
  const auto count = static_cast<std::size_t>(
      cross::cuda::copies_beyond_cache(columns.size() + csr.values.size(), l2_bytes));
  const auto upload = [&](DeviceBuffer& buffer, std::span<const std::byte> bytes, const char* what) {
    const std::size_t stride = (bytes.size() + 255) / 256 * 256;
    buffer = DeviceBuffer(stride * count, what);
    buffer.upload(bytes);
    buffer.repeat(stride);
    return stride;
  };
  const std::size_t offset_stride = upload(s.offsets, offsets, "row offsets");
  const std::size_t column_stride = upload(s.columns, columns, "columns");
  const std::size_t value_stride = upload(s.values, csr.values, "values");
  for (std::size_t i = 0; i < count; ++i) {
    cusparseSpMatDescr_t matrix = nullptr;
    check(
        cusparseCreateCsr(&matrix, csr.shape.rows, csr.shape.cols, nnz, s.offsets.data() + i * offset_stride,
                          s.columns.data() + i * column_stride, s.values.data() + i * value_stride,
                          CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I, CUSPARSE_INDEX_BASE_ZERO, s.type),
        "describing a matrix");
    s.matrices.push_back(matrix);
  }
}

CuSparseProduct::~CuSparseProduct() = default;

void CuSparseProduct::use(std::int64_t tokens, void* x, void* y) {
  State& s = *state_;
  s.forget_vectors();
  s.tokens = tokens;
  const auto [rows, cols] = s.shape;
  if (tokens == 1) {
    check(cusparseCreateDnVec(&s.x_vector, cols, x, s.type), "describing x");
    check(cusparseCreateDnVec(&s.y_vector, rows, y, s.type), "describing y");
  } else {  // row-major [tokens, n] is column-major [n, tokens]
    check(cusparseCreateDnMat(&s.x_matrix, cols, tokens, cols, x, s.type, CUSPARSE_ORDER_COL),
          "describing x");
    check(cusparseCreateDnMat(&s.y_matrix, rows, tokens, rows, y, s.type, CUSPARSE_ORDER_COL),
          "describing y");
  }
}

int CuSparseProduct::copies() const { return static_cast<int>(state_->matrices.size()); }

int CuSparseProduct::algorithms() const {
  return static_cast<int>(state_->tokens == 1 ? std::size(vector_algorithms) : std::size(matrix_algorithms));
}

void CuSparseProduct::choose(int algorithm) {
  State& s = *state_;
  s.algorithm = static_cast<std::size_t>(algorithm);
  const float one = 1, zero = 0;
  constexpr auto plain = CUSPARSE_OPERATION_NON_TRANSPOSE;
  std::size_t bytes = 0;
  const cusparseStatus_t status =
      s.tokens == 1 ? cusparseSpMV_bufferSize(s.handle, plain, &one, s.matrices[0], s.x_vector, &zero,
                                              s.y_vector, CUDA_R_32F, vector_algorithms[s.algorithm], &bytes)
                    : cusparseSpMM_bufferSize(s.handle, plain, plain, &one, s.matrices[0], s.x_matrix, &zero,
                                              s.y_matrix, CUDA_R_32F, matrix_algorithms[s.algorithm], &bytes);
  if (status == CUSPARSE_STATUS_NOT_SUPPORTED) return;  // enqueue will say so
  check(status, "asking for a workspace");
  s.workspace = DeviceBuffer(bytes, "cuSPARSE's workspace");
}

bool CuSparseProduct::enqueue(int launch, void* stream) const {
  const State& s = *state_;
  const float one = 1, zero = 0;
  constexpr auto plain = CUSPARSE_OPERATION_NON_TRANSPOSE;
  check(cusparseSetStream(s.handle, static_cast<cudaStream_t>(stream)), "choosing a stream");
  const auto matrix = s.matrices[static_cast<std::size_t>(launch % copies())];
  const cusparseStatus_t status =
      s.tokens == 1 ? cusparseSpMV(s.handle, plain, &one, matrix, s.x_vector, &zero, s.y_vector, CUDA_R_32F,
                                   vector_algorithms[s.algorithm], s.workspace.data())
                    : cusparseSpMM(s.handle, plain, plain, &one, matrix, s.x_matrix, &zero, s.y_matrix,
                                   CUDA_R_32F, matrix_algorithms[s.algorithm], s.workspace.data());
  return status == CUSPARSE_STATUS_SUCCESS;
}

std::string cusparse_version() {
  int major = 0, minor = 0, patch = 0;
  cusparseGetProperty(MAJOR_VERSION, &major);
  cusparseGetProperty(MINOR_VERSION, &minor);
  cusparseGetProperty(PATCH_LEVEL, &patch);
  return fmt::format("{}.{}.{}", major, minor, patch);
}

}  // namespace cross_bench
