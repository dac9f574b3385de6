// OpenBLAS's sgemm and sgemv. It packs weights on every call and has no bf16 product in distributions'
// builds.
#include <cblas.h>

#include <algorithm>
#include <cstdlib>

#include "base/huge_pages.h"
#include "kernels/dense/dense_product.h"
#include "kernels/dense/libraries.h"
#include "kernels/dense/widen.h"

namespace cross::kernels {
namespace {

class OpenBlasProduct final : public DenseProduct {
 public:
  explicit OpenBlasProduct(const DenseProblem& p) : problem_(p) {
    const auto count = static_cast<std::size_t>(p.rows * p.cols);
    problem_.alike = {};
    if (!copied()) {
      // sgemm reads any layout: no copy.
      values_ = reinterpret_cast<const float*>(p.weights);
      return;
    }
    weights_.reset(static_cast<float*>(std::aligned_alloc(64, (count * 4 + 63) / 64 * 64)));
    if (weights_ == nullptr) throw std::bad_alloc();
    base::prefer_huge_pages(weights_.get(), count * 4);
    if (p.weights == nullptr)
      std::fill_n(weights_.get(), count, 1.0f / 64);
    else
      widen(p.weights, weights_.get(), p.rows * p.cols, p.threads);
    values_ = weights_.get();
    if (widened()) {
      wide_x_.resize(static_cast<std::size_t>(p.tokens * p.cols));
      wide_y_.resize(static_cast<std::size_t>(p.tokens * p.rows));
    }
  }

  void run(const std::byte* x, std::byte* y) override {
    const auto& p = problem_;
    const auto* source = reinterpret_cast<const float*>(x);
    auto* destination = reinterpret_cast<float*>(y);
    if (widened()) {
      widen(x, wide_x_.data(), p.tokens * p.cols, p.threads);
      source = wide_x_.data();
      destination = wide_y_.data();
    }
    const float* bias = widened() ? nullptr : p.bias;  // `narrow` adds it otherwise
    if (bias != nullptr)
      for (std::int64_t t = 0; t < p.tokens; ++t) std::copy_n(bias, p.rows, destination + t * p.rows);
    const float beta = bias != nullptr ? 1.0f : 0.0f;
    if (own_threads_) {
      openblas_set_num_threads(p.threads);
      multiply(source, destination, beta, 0, p.rows);
    } else {
      openblas_set_num_threads(1);
#pragma omp parallel for num_threads(p.threads) schedule(static, 1)
      for (int part = 0; part < p.threads; ++part)
        multiply(source, destination, beta, p.rows * part / p.threads, p.rows * (part + 1) / p.threads);
    }
    if (widened()) narrow(wide_y_.data(), y, p.tokens, p.rows, p.bias, p.threads);
  }

  std::span<const std::byte> packed() const override {
    return std::as_bytes(std::span(values_, static_cast<std::size_t>(problem_.rows * problem_.cols)));
  }
  bool widened() const override { return problem_.dtype == DType::bf16; }
  bool copied() const override { return widened() || problem_.weights == nullptr; }

 private:
  /// Rows [begin, end) of W.
  void multiply(const float* x, float* y, float beta, std::int64_t begin, std::int64_t end) const {
    const auto m = static_cast<blasint>(end - begin);
    const auto k = static_cast<blasint>(problem_.cols);
    const auto n = static_cast<blasint>(problem_.tokens);
    const float* w = values_ + begin * problem_.cols;
    if (m == 0) return;
    if (n == 1)
      cblas_sgemv(CblasRowMajor, CblasNoTrans, m, k, 1.0f, w, k, x, 1, beta, y + begin, 1);
    else
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, m, k, 1.0f, x, k, w, k, beta, y + begin,
                  static_cast<blasint>(problem_.rows));
  }

  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  DenseProblem problem_;
  /// A build on pthreads keeps its threads spinning after a call, on the cores that the next product wants
  /// (seen: 4 ms instead of 0.2 ms for whoever ran next). It gets one thread per call and is split over
  /// OpenMP's pool instead.
  bool own_threads_ = openblas_get_parallel() == OPENBLAS_OPENMP;
  std::unique_ptr<float, Free> weights_;
  const float* values_ = nullptr;
  std::vector<float> wide_x_, wide_y_;
};

}  // namespace

std::unique_ptr<DenseProduct> make_openblas_product(const DenseProblem& problem) {
  return std::make_unique<OpenBlasProduct>(problem);
}

std::string openblas_version() {
  // "OpenBLAS 0.3.21 DYNAMIC_ARCH …": the second word.
  const std::string config = openblas_get_config();
  const auto begin = config.find(' ') + 1;
  return config.substr(begin, config.find(' ', begin) - begin);
}

}  // namespace cross::kernels
