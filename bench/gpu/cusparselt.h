// y = x·Wᵀ by cuSPARSELt, W exactly 2:4: the library that multiplies on sparse tensor cores. Loaded at run
// time where the machine has it; neither the build nor CROSS needs it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cuda/memory.h"
#include "gpu/weights.h"

namespace cross_bench {

/// The library, or why it is not there. Looked for as $CROSS_CUSPARSELT (a file), then where the system's
/// loader looks.
class CuSparseLt {
 public:
  CuSparseLt();
  ~CuSparseLt();
  bool here() const { return missing_.empty(); }
  const std::string& missing() const { return missing_; }  ///< a reason, or empty
  std::string version() const;

  struct Functions;
  const Functions& functions() const { return *functions_; }

 private:
  std::unique_ptr<Functions> functions_;
  std::string missing_;
};

/// One compressed matrix at one token count, over rotated copies.
class CuSparseLtProduct {
 public:
  /// @param library here(); @param weight bf16 or fp16, exactly 2:4
  CuSparseLtProduct(const CuSparseLt& library, const Weight& weight, std::size_t l2_bytes);
  ~CuSparseLtProduct();
  /// Tries every algorithm and the library's own search for y[tokens, rows] = x[tokens, cols]·Wᵀ and keeps
  /// the fastest. Both pointers stay in use.
  void use(std::int64_t tokens, const void* x, void* y);
  int copies() const;
  int algorithms() const;       ///< tried by the last `use`
  std::uint64_t bytes() const;  ///< of one compressed copy
  void enqueue(int launch, void* stream) const;
  bool capturable() const;  ///< whether the chosen algorithm can be captured into a CUDA graph

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cross_bench
