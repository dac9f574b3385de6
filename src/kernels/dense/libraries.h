// What each library's translation unit provides.
#pragma once

#include <memory>
#include <string>

#include "kernels/dense/dense_product.h"

namespace cross::kernels {

std::unique_ptr<DenseProduct> make_onednn_product(const DenseProblem& problem);
std::string onednn_version();
std::unique_ptr<DenseProduct> make_openblas_product(const DenseProblem& problem);
std::string openblas_version();

}  // namespace cross::kernels
