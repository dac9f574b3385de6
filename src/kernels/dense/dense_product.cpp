#include "kernels/dense/dense_product.h"

#include "cross/error.h"
#include "kernels/dense/libraries.h"

namespace cross::kernels {

std::optional<DenseLibrary> dense_library_from_name(std::string_view name) {
  for (const DenseLibrary library : {DenseLibrary::onednn, DenseLibrary::openblas})
    if (name_of(library) == name) return library;
  return std::nullopt;
}

std::span<const DenseLibrary> dense_libraries() {
  static const std::vector<DenseLibrary> present = {
#ifdef CROSS_HAS_ONEDNN
      DenseLibrary::onednn,
#endif
#ifdef CROSS_HAS_OPENBLAS
      DenseLibrary::openblas,
#endif
  };
  return present;
}

std::span<const DenseLibrary> require_dense_libraries() {
  if (dense_libraries().empty())
    throw DeviceError(
        "this build has no dense library for CPUs, so it runs CUDA plans only; build with oneDNN or "
        "OpenBLAS, "
        "or use --device cuda");
  return dense_libraries();
}

std::string dense_library_version([[maybe_unused]] DenseLibrary library) {
#ifdef CROSS_HAS_ONEDNN
  if (library == DenseLibrary::onednn) return onednn_version();
#endif
#ifdef CROSS_HAS_OPENBLAS
  if (library == DenseLibrary::openblas) return openblas_version();
#endif
  return "absent";
}

std::unique_ptr<DenseProduct> make_dense_product([[maybe_unused]] DenseLibrary library,
                                                 const DenseProblem& problem) {
  if (problem.dtype == DType::fp16) throw InternalError("dense product: no CPU library multiplies fp16");
#ifdef CROSS_HAS_ONEDNN
  if (library == DenseLibrary::onednn) return make_onednn_product(problem);
#endif
#ifdef CROSS_HAS_OPENBLAS
  if (library == DenseLibrary::openblas) return make_openblas_product(problem);
#endif
  return nullptr;
}

}  // namespace cross::kernels
