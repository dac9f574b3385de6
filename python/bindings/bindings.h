// The parts of the extension module; each file binds one concept.
#pragma once

#include <nanobind/nanobind.h>

namespace cross::python {

void bind_errors(nanobind::module_& m);
void bind_models(nanobind::module_& m);
void bind_plans(nanobind::module_& m);
void bind_reports(nanobind::module_& m);
void bind_sessions(nanobind::module_& m);

}  // namespace cross::python
