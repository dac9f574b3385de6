// oneDNN's matmul with weights in the layout that it prefers for the shape.
#include <fmt/format.h>
#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "base/huge_pages.h"
#include "cross/error.h"
#include "kernels/dense/dense_product.h"
#include "kernels/dense/libraries.h"
#include "kernels/dense/widen.h"

namespace cross::kernels {
namespace {

using dnnl::matmul;
using dnnl::memory;

/// oneDNN 2 describes an operation in two steps, oneDNN 3 in one.
matmul::primitive_desc describe(const dnnl::engine& engine, const memory::desc& x, const memory::desc& w,
                                const memory::desc* bias, const memory::desc& y) {
#if DNNL_VERSION_MAJOR >= 3
  return bias != nullptr ? matmul::primitive_desc(engine, x, w, *bias, y)
                         : matmul::primitive_desc(engine, x, w, y);
#else
  return bias != nullptr ? matmul::primitive_desc(matmul::desc(x, w, *bias, y), engine)
                         : matmul::primitive_desc(matmul::desc(x, w, y), engine);
#endif
}

/// One for all, so that products can share memory.
const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

class OneDnnProduct final : public DenseProduct {
 public:
  explicit OneDnnProduct(const DenseProblem& p) : problem_(p), engine_(cpu_engine()), stream_(engine_) {
    omp_set_num_threads(p.threads);
    if (p.dtype == DType::bf16 && !create(memory::data_type::bf16)) widened_ = true;
    if (p.dtype == DType::fp32 || widened_) create(memory::data_type::f32);
    load_weights();
    problem_.alike = {};
    const auto scratch = static_cast<std::size_t>(p.tokens);
    if (widened_) {
      wide_x_.resize(scratch * static_cast<std::size_t>(p.cols));
      wide_y_.resize(scratch * static_cast<std::size_t>(p.rows));
    }
  }

  void run(const std::byte* x, std::byte* y) override {
    omp_set_num_threads(problem_.threads);
    const void* source = x;
    void* destination = y;
    if (widened_) {
      widen(x, wide_x_.data(), problem_.tokens * problem_.cols, problem_.threads);
      source = wide_x_.data();
      destination = wide_y_.data();
    }
    // oneDNN takes its sources as void*; it does not write them.
    x_.set_data_handle(const_cast<void*>(source));
    y_.set_data_handle(destination);
    matmul_.execute(stream_, arguments_);
    stream_.wait();
    if (widened_) narrow(wide_y_.data(), y, problem_.tokens, problem_.rows, nullptr, problem_.threads);
  }

  std::span<const std::byte> packed() const override {
    return {static_cast<const std::byte*>(weights_.get_data_handle()), weights_.get_desc().get_size()};
  }
  bool widened() const override { return widened_; }

 private:
  /// False if oneDNN has no implementation for `type` on this CPU.
  bool create(memory::data_type type) {
    const auto& p = problem_;
    using tag = memory::format_tag;
    const memory::desc x({p.tokens, p.cols}, type, tag::ab);
    const memory::desc w({p.cols, p.rows}, type, tag::any);
    const memory::desc y({p.tokens, p.rows}, type, tag::ab);
    const memory::desc bias({1, p.rows}, memory::data_type::f32, tag::ab);
    try {
      const auto description = describe(engine_, x, w, p.bias != nullptr ? &bias : nullptr, y);
      // oneDNN's reference implementation is no dense library: widened fp32 is far faster.
      if (type == memory::data_type::bf16 && std::string(description.impl_info_str()).starts_with("ref"))
        return false;
      matmul_ = matmul(description);
      x_ = memory(x, engine_, nullptr);
      y_ = memory(y, engine_, nullptr);
      share_or_allocate(description.weights_desc());
      arguments_ = {{DNNL_ARG_SRC, x_}, {DNNL_ARG_WEIGHTS, weights_}, {DNNL_ARG_DST, y_}};
      if (p.bias != nullptr)
        arguments_.insert({DNNL_ARG_BIAS, memory(bias, engine_, const_cast<float*>(p.bias))});
      return true;
    } catch (const dnnl::error& error) {
      if (type == memory::data_type::bf16 && error.status == dnnl_unimplemented) return false;
      throw InternalError(std::string("oneDNN refuses a plain matrix product: ") + error.what());
    }
  }

  void share_or_allocate(const memory::desc& wanted) {
    for (const DenseProduct* product : problem_.alike) {
      const auto* other = dynamic_cast<const OneDnnProduct*>(product);
      if (other == nullptr || other->weights_.get_desc() != wanted) continue;
      weights_ = other->weights_;  // a handle: the bytes live as long as the last product
      shared_ = true;
      return;
    }
    weights_ = memory(wanted, engine_);
  }

  void load_weights() {
    const auto& p = problem_;
    if (shared_) return;
    const std::size_t size = weights_.get_desc().get_size();
    base::prefer_huge_pages(weights_.get_data_handle(), size);
    if (p.weights == nullptr) {
      // Timing only: 1/64-ish values without zeros, NaNs or subnormals in either dtype.
      std::fill_n(static_cast<std::uint32_t*>(weights_.get_data_handle()), size / 4, 0x3c803c80u);
      return;
    }
    std::vector<float> wide;
    const void* source = p.weights;
    if (widened_) {
      wide.resize(static_cast<std::size_t>(p.rows * p.cols));
      widen(p.weights, wide.data(), p.rows * p.cols, p.threads);
      source = wide.data();
    }
    const auto type = p.dtype == DType::bf16 && !widened_ ? memory::data_type::bf16 : memory::data_type::f32;
    memory plain({{p.cols, p.rows}, type, memory::format_tag::ba}, engine_, const_cast<void*>(source));
    dnnl::reorder(plain, weights_).execute(stream_, plain, weights_);
    stream_.wait();
  }

  DenseProblem problem_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  bool widened_ = false, shared_ = false;
  matmul matmul_;
  memory x_, y_, weights_;
  std::unordered_map<int, memory> arguments_;
  std::vector<float> wide_x_, wide_y_;
};

}  // namespace

std::unique_ptr<DenseProduct> make_onednn_product(const DenseProblem& problem) {
  return std::make_unique<OneDnnProduct>(problem);
}

std::string onednn_version() {
  const auto* version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

}  // namespace cross::kernels
