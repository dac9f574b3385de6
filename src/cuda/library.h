// cuBLASLt, the dense library of the CUDA device family.
#pragma once

#include <cstddef>
#include <string>

namespace cross::cuda {

/// Most bytes of workspace that a product is given.
inline constexpr std::size_t library_workspace = std::size_t{32} << 20;

/// A handle of the current GPU; several threads may use it at once.
class Library {
 public:
  Library();
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  void* handle() const { return handle_; }

 private:
  void* handle_ = nullptr;
};

/// "13.0.2"; algorithms are valid for one version only.
std::string library_version();

}  // namespace cross::cuda
