#include "cuda/library.h"

#include <cublasLt.h>
#include <fmt/format.h>

#include "cuda/cusparselt.h"
#include "cuda/error.h"

namespace cross::cuda {

Library::Library() {
  cublasLtHandle_t handle = nullptr;
  check_library(cublasLtCreate(&handle), "starting the library");
  handle_ = handle;
}

Library::~Library() { cublasLtDestroy(static_cast<cublasLtHandle_t>(handle_)); }

const CuSparseLt& Library::sparse() const {
  std::call_once(looked_, [this] { sparse_ = std::make_unique<CuSparseLt>(); });
  return *sparse_;
}

std::string library_version() {
  const std::size_t version = cublasLtGetVersion();
  // 130002 is 13.0.2; the versions before 11 had one digit less for the minor part.
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace cross::cuda
