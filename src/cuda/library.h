// The libraries of the CUDA device family: cuBLASLt, and cuSPARSELt where the machine has it.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

namespace cross::cuda {

/// Most bytes of workspace that a product is given.
inline constexpr std::size_t library_workspace = std::size_t{32} << 20;

class CuSparseLt;

/// A handle of the current GPU; several threads may use it at once.
class Library {
 public:
  Library();
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  void* handle() const { return handle_; }
  /// cuSPARSELt of the same GPU, looked for when it is first asked for.
  const CuSparseLt& sparse() const;

 private:
  void* handle_ = nullptr;
  mutable std::once_flag looked_;
  mutable std::unique_ptr<CuSparseLt> sparse_;
};

/// "13.0.2"; algorithms are valid for one version only.
std::string library_version();

}  // namespace cross::cuda
