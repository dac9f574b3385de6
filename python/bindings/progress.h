// Progress of long calls: a Python callable (done, all, what), called from code that runs without Python's
// lock.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace cross::python {

using Progress = std::optional<std::function<void(std::size_t, std::size_t, std::string)>>;

/// `progress` must outlive the result. What the callable raises passes through to the caller.
inline std::function<void(std::size_t, std::size_t, std::string_view)> with_lock(const Progress& progress) {
  if (!progress) return {};
  return [&progress](std::size_t done, std::size_t all, std::string_view what) {
    const nanobind::gil_scoped_acquire held;
    (*progress)(done, all, std::string(what));
  };
}

}  // namespace cross::python
