// C++ errors as Python exceptions of the same names. What the user did is also a ValueError, so that code
// that knows nothing of CROSS catches it.
#include <nanobind/stl/string.h>

#include "bindings.h"
#include "cross/error.h"

namespace cross::python {
namespace {

namespace nb = nanobind;

/// A Python class derived from `bases`, known to the module under `name`.
nb::object exception_class(nb::module_& m, const char* name, const nb::tuple& bases, const char* doc) {
  nb::object made = nb::steal(PyErr_NewExceptionWithDoc(
      (nb::cast<std::string>(m.attr("__name__")) + "." + name).c_str(), doc, bases.ptr(), nullptr));
  if (!made.is_valid()) throw nb::python_error();
  m.attr(name) = made;
  return made;
}

/// The classes live as long as the interpreter: a translator may run at any time.
struct Classes {
  PyObject *usage, *input, *verification, *device, *internal;
};

void translate(const std::exception_ptr& thrown, void* payload) {
  const Classes& classes = *static_cast<const Classes*>(payload);
  try {
    std::rethrow_exception(thrown);
  } catch (const UsageError& e) {
    PyErr_SetString(classes.usage, e.what());
  } catch (const InputError& e) {
    PyErr_SetString(classes.input, e.what());
  } catch (const VerificationError& e) {
    PyErr_SetString(classes.verification, e.what());
  } catch (const DeviceError& e) {
    PyErr_SetString(classes.device, e.what());
  } catch (const InternalError& e) {
    PyErr_SetString(classes.internal, e.what());
  }
}

}  // namespace

void bind_errors(nb::module_& m) {
  const nb::object value_error = nb::borrow(PyExc_ValueError), runtime_error = nb::borrow(PyExc_RuntimeError);
  const nb::object base = exception_class(m, "CrossError", nb::make_tuple(nb::borrow(PyExc_Exception)),
                                          "Base of everything that CROSS raises on purpose.");
  static Classes classes;
  classes.usage = exception_class(m, "UsageError", nb::make_tuple(base, value_error),
                                  "An argument or call that cannot mean anything.")
                      .release()
                      .ptr();
  classes.input = exception_class(m, "InputError", nb::make_tuple(base, value_error),
                                  "A file or array that is damaged, hostile, or not what it says it is.")
                      .release()
                      .ptr();
  classes.verification =
      exception_class(m, "VerificationError", nb::make_tuple(base),
                      "A result that differs from the reference by more than its tolerance.")
          .release()
          .ptr();
  classes.device =
      exception_class(m, "DeviceError", nb::make_tuple(base, runtime_error),
                      "The plan or an argument asks for a device or CPU feature that is not here.")
          .release()
          .ptr();
  classes.internal =
      exception_class(m, "InternalError", nb::make_tuple(base, runtime_error),
                      "CROSS broke something: says which invariant was violated. Please report it.")
          .release()
          .ptr();
  nb::register_exception_translator(translate, &classes);
}

}  // namespace cross::python
