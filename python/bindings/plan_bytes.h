// A plan's bytes in memory of our own, at an address that kernels like.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>

#include "cross/plan.h"

namespace cross::python {

/// A copy of bytes, aligned to cache lines; copies of this share it.
class PlanBytes {
 public:
  explicit PlanBytes(std::span<const std::byte> bytes) : size_(bytes.size()) {
    auto* copy = static_cast<std::byte*>(::operator new(std::max<std::size_t>(size_, 1), alignment));
    owner_ = std::shared_ptr<const std::byte>(
        copy, [](const std::byte* at) { ::operator delete(const_cast<std::byte*>(at), alignment); });
    if (size_ > 0) std::memcpy(copy, bytes.data(), size_);
  }

  std::span<const std::byte> bytes() const { return {owner_.get(), size_}; }
  /// The plan that they are; it keeps them.
  std::shared_ptr<Plan> parse(const std::string& name) const {
    return std::make_shared<Plan>(Plan::parse(bytes(), name, owner_));
  }

 private:
  static constexpr std::align_val_t alignment{64};
  std::shared_ptr<const std::byte> owner_;
  std::size_t size_ = 0;
};

}  // namespace cross::python
