// Compiling and holding plans.
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bindings.h"
#include "cross/calibrate.h"
#include "cross/compile.h"
#include "cross/error.h"
#include "cross/explain.h"
#include "cross/plan.h"
#include "plan_bytes.h"
#include "progress.h"

namespace cross::python {
namespace {

namespace nb = nanobind;
using namespace nb::literals;

std::shared_ptr<Plan> compile_model(const Model& model, const std::vector<std::int64_t>& tokens,
                                    const std::string& dtype, const std::string& device, int threads,
                                    const Selection& selection, bool whole_model, int copies,
                                    const std::string& format, const std::string& policy, bool measure,
                                    const std::filesystem::path& profile, const Progress& progress) {
  CompileOptions options;
  options.tokens = tokens;
  options.dtype = dtype_named(dtype);
  options.device = device;
  options.threads = threads;
  options.selection = selection;
  options.scope = whole_model ? CompileOptions::Scope::model : CompileOptions::Scope::layers;
  options.copies = copies;
  options.format = format;
  options.policy = policy;
  options.measure = measure;
  options.profile = profile;
  options.on_layer = with_lock(progress);
  const nb::gil_scoped_release free;
  return std::make_shared<Plan>(compile(model, options));
}

std::shared_ptr<Plan> plan_of_bytes(std::span<const std::byte> bytes, const std::string& name) {
  const nb::gil_scoped_release free;
  return PlanBytes(bytes).parse(name);
}

nb::dict layer_dict(const LayerPlan& layer, DType dtype) {
  nb::dict out;
  out["name"] = layer.name;
  out["parts"] = nb::cast(layer.parts);
  out["rows"] = layer.rows, out["cols"] = layer.cols, out["nnz"] = layer.nnz;
  out["sparsity"] = layer.sparsity();
  out["bias"] = !layer.bias.empty();
  out["bytes"] = layer.packed_bytes(), out["dense_bytes"] = layer.dense_bytes(dtype);
  std::vector<std::int64_t> tokens;
  for (const Variant& variant : layer.variants) tokens.push_back(variant.tokens);
  out["tokens"] = nb::cast(tokens);
  return out;
}

void calibrate_device(const std::string& device, int threads, bool quick, const std::filesystem::path& output,
                      const Progress& progress) {
  CalibrateOptions options;
  options.device = device;
  options.threads = threads;
  options.quick = quick;
  options.on_step = with_lock(progress);
  const nb::gil_scoped_release free;
  const CostProfile profile = calibrate(options);
  const auto path = output.empty() ? profile_folder() / profile.key.file_name() : output;
  profile.save(path);
}

}  // namespace

void bind_plans(nb::module_& m) {
  nb::class_<Plan>(m, "Plan",
                   "A compiled model: its linear layers, and in a model plan the rest too. Immutable.")
      .def_static(
          "load", [](const std::filesystem::path& path) { return std::make_shared<Plan>(Plan::load(path)); },
          "path"_a, nb::call_guard<nb::gil_scoped_release>(),
          "Map a plan file and check it. Raises InputError for a damaged one, DeviceError if this machine "
          "cannot run it.")
      .def_static(
          "from_bytes",
          [](const nb::bytes& data, const std::string& name) {
            return plan_of_bytes({static_cast<const std::byte*>(data.data()), data.size()}, name);
          },
          "data"_a, "name"_a = "bytes", "The plan that `to_bytes` wrote; `name` stands in messages.")
      .def_static(
          "from_array",
          [](const nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>& array,
             const std::string& name) {
            return plan_of_bytes({reinterpret_cast<const std::byte*>(array.data()), array.size()}, name);
          },
          "array"_a, "name"_a = "array",
          nb::sig("def from_array(array: typing.Any, name: str = 'array') -> Plan"),
          "The same from a 1-D uint8 array of any library that speaks DLPack.")
      .def("save", &Plan::save, "path"_a, nb::call_guard<nb::gil_scoped_release>(),
           "Write the plan completely or not at all.")
      .def(
          "to_bytes",
          [](const Plan& plan) {
            const std::vector<std::byte> bytes = plan.serialize();
            return nb::bytes(bytes.data(), bytes.size());
          },
          "The bytes that `save` writes.")
      .def("explain", &explain_text, "What was seen and decided for every layer, for people.")
      .def("_explain_json", &explain_json)
      .def_ro("device", &Plan::device, "\"cpu\" or \"cuda\".")
      .def_prop_ro(
          "dtype", [](const Plan& plan) { return std::string(name_of(plan.dtype)); },
          "Of weights, x and y: \"fp32\", \"bf16\" or \"fp16\".")
      .def_ro("source", &Plan::source, "Name of the model that it was made from.")
      .def_ro("compiled_on", &Plan::compiled_on, "CPU and its instruction set, or GPU.")
      .def_ro("profile_source", &Plan::profile_source, "Where the prices came from.")
      .def_ro("threads", &Plan::threads, "Workers that the schedules are made for (CPU).")
      .def_prop_ro(
          "architecture",
          [](const Plan& plan) {
            return plan.model ? std::optional(plan.model->architecture) : std::nullopt;
          },
          "Of a model plan; None for a plan of layers.")
      .def_prop_ro(
          "layers",
          [](const Plan& plan) {
            nb::list out;
            for (const LayerPlan& layer : plan.layers) out.append(layer_dict(layer, plan.dtype));
            return out;
          },
          nb::for_getter(nb::sig("def layers(self, /) -> list[dict[str, typing.Any]]")),
          "One dict per layer: name, parts, rows, cols, nnz, sparsity, bias, bytes, dense_bytes, tokens.");
  m.def("_compile", &compile_model, "model"_a, "tokens"_a, "dtype"_a, "device"_a, "threads"_a, "selection"_a,
        "whole_model"_a, "copies"_a, "format"_a, "policy"_a, "measure"_a, "profile"_a, "progress"_a.none());
  m.def("_no_whole_model", &no_whole_model, "model"_a);
  m.def("_calibrate", &calibrate_device, "device"_a, "threads"_a, "quick"_a, "output"_a, "progress"_a.none());
}

}  // namespace cross::python
