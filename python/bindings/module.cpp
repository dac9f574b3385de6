#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "bindings.h"
#include "cross/cuda.h"
#include "cross/executor.h"
#include "cross/version.h"

NB_MODULE(_core, m) {
  namespace nb = nanobind;
  m.doc() = "C++ core of cross_sparse. Use the names that cross_sparse exports.";
  m.attr("__version__") = nb::str(cross::version().data(), cross::version().size());
  m.def("available_cores", &cross::available_cores, "Cores that this process may use.");
  m.def(
      "cuda_devices",
      [] {
        std::vector<std::string> names;
        for (const auto& device : cross::cuda::devices()) names.push_back(device.name);
        return names;
      },
      "Names of the GPUs that CROSS can see; empty without CUDA, a driver or a GPU.");
  cross::python::bind_errors(m);
  cross::python::bind_models(m);
  cross::python::bind_plans(m);
  cross::python::bind_reports(m);
  cross::python::bind_sessions(m);
}
