// Models, pruning and inspection.
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <utility>

#include "arrays.h"
#include "bindings.h"
#include "cross/analysis.h"
#include "cross/error.h"
#include "cross/model.h"
#include "cross/prune.h"
#include "progress.h"

namespace cross::python {
namespace {

namespace nb = nanobind;

StoredType stored_type(DType dtype) {
  return dtype == DType::fp32 ? StoredType::f32 : dtype == DType::fp16 ? StoredType::f16 : StoredType::bf16;
}

/// @param named tuples of a name, an array, and whether its 16-bit integers are the bits of bf16.
Model model_of(const nb::list& named, const std::string& name, std::optional<std::string> config) {
  const auto kept = std::make_shared<std::vector<ConstArray>>();
  std::vector<Tensor> tensors;
  for (const nb::handle item : named) {
    const nb::tuple entry = nb::cast<nb::tuple>(item);
    auto tensor_name = nb::cast<std::string>(entry[0]);
    ConstArray array;
    if (!nb::try_cast(entry[1], array, false))
      throw UsageError(name + ": array \"" + tensor_name +
                       "\" is no C-contiguous array on the CPU that speaks DLPack");
    const auto dtype = dtype_of(array.dtype(), nb::cast<bool>(entry[2]));
    if (!dtype)
      throw UsageError(name + ": array \"" + tensor_name + "\" is neither float32, float16 nor bfloat16");
    Tensor tensor{std::move(tensor_name), stored_type(*dtype), {}, {}, {}};
    for (std::size_t i = 0; i < array.ndim(); ++i)
      tensor.shape.push_back(static_cast<std::int64_t>(array.shape(i)));
    tensor.bytes = {static_cast<const std::byte*>(array.data()), array.nbytes()};
    tensors.push_back(std::move(tensor));
    kept->push_back(std::move(array));
  }
  return Model::of(std::move(tensors), name, kept, std::move(config));
}

nb::dict distribution(const Distribution& d) {
  nb::dict out;
  out["min"] = d.min, out["p10"] = d.p10, out["p50"] = d.p50, out["p90"] = d.p90, out["max"] = d.max;
  out["mean"] = d.mean, out["stddev"] = d.stddev;
  return out;
}

nb::dict analysis_dict(std::string_view name, const MatrixAnalysis& a) {
  nb::dict out;
  out["name"] = std::string(name);
  out["rows"] = a.rows, out["cols"] = a.cols, out["nnz"] = a.nnz;
  out["sparsity"] = a.sparsity();
  out["empty_rows"] = a.empty_rows, out["empty_cols"] = a.empty_cols;
  out["row_density"] = distribution(a.row_density), out["col_density"] = distribution(a.col_density);
  out["outside_two_four"] = a.outside_two_four;
  out["structure"] = std::string(name_of(a.uniformity.verdict));
  out["structure_reason"] = a.uniformity.reason;
  if (a.n_m) out["n_m"] = nb::make_tuple(a.n_m->keep, a.n_m->group);
  if (a.blocks) out["block"] = nb::make_tuple(a.blocks->block_rows, a.blocks->block_cols);
  nb::dict bytes;
  for (const FormatSize& size : a.sizes) bytes[size.name.c_str()] = size.bytes;
  out["bytes"] = bytes;
  out["smallest"] = a.sizes.empty() ? std::string() : a.sizes[a.smallest].name;
  out["smallest_reason"] = a.smallest_reason;
  out["entropy_bound"] = a.entropy_bound;
  return out;
}

nb::list inspect(const Model& model, const Selection& selection, const std::string& dtype) {
  const DType plan_dtype = dtype_named(dtype);
  nb::list out;
  for (const Candidate& candidate : model.candidates(selection)) {
    if (!candidate.selected) continue;
    MatrixAnalysis analysis;
    {
      const nb::gil_scoped_release free;
      analysis = analyse(candidate.tensor->matrix(), {plan_dtype});
      model.release(*candidate.tensor);
    }
    out.append(analysis_dict(layer_name(candidate.tensor->name), analysis));
  }
  return out;
}

nb::list prune(const Model& model, const std::filesystem::path& output, std::optional<double> sparsity,
               const std::string& scope, const std::string& pattern, const Selection& selection,
               bool overwrite, const Progress& progress) {
  if (scope != "layer" && scope != "global")
    throw UsageError("scope \"" + scope + "\" is unknown; it can be layer or global");
  PruneOptions options{sparsity, scope == "global" ? PruneScope::global : PruneScope::layer,
                       parse_pattern(pattern), selection, overwrite};
  PruneReport report;
  {
    const nb::gil_scoped_release free;
    const auto tell = with_lock(progress);
    report = prune_model(model, output, options, [&](const PruneProgress& at) {
      if (tell) tell(at.done, at.layers, std::string(at.step) + " " + std::string(at.layer));
    });
  }
  nb::list out;
  for (const PrunedLayer& layer : report.layers) {
    nb::dict entry;
    entry["name"] = layer.name, entry["rows"] = layer.rows, entry["cols"] = layer.cols;
    entry["sparsity_before"] = layer.sparsity_before(), entry["sparsity_after"] = layer.sparsity_after();
    out.append(entry);
  }
  return out;
}

/// In place, without Python's lock.
double prune_array(const MutableArray& array, bool bits, std::optional<double> sparsity,
                   const std::string& pattern) {
  const auto dtype = dtype_of(array.dtype(), bits);
  if (!dtype || array.ndim() != 2)
    throw UsageError("prune_array takes a matrix of float32, float16 or bfloat16; this has shape " +
                     shape_text(array));
  PruneOptions options;
  options.sparsity = sparsity;
  options.pattern = parse_pattern(pattern);
  auto* data = static_cast<std::byte*>(array.data());
  const MatrixView view{*dtype, static_cast<std::int64_t>(array.shape(0)),
                        static_cast<std::int64_t>(array.shape(1)), data};
  const nb::gil_scoped_release free;
  return prune_matrix(view, {data, view.bytes()}, options).sparsity_after();
}

}  // namespace

void bind_models(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Selection>(m, "Selection", "Which tensors are weights of linear layers: globs over their names.")
      .def(
          "__init__",
          [](Selection* self, std::vector<std::string> include, std::vector<std::string> exclude) {
            new (self) Selection{std::move(include), std::move(exclude)};
          },
          "include"_a = std::vector<std::string>{}, "exclude"_a = std::vector<std::string>{})
      .def_rw("include", &Selection::include)
      .def_rw("exclude", &Selection::exclude);
  nb::class_<Model>(m, "Model", "Named tensors with the linear layers among them marked. Immutable.")
      .def_static(
          "load", [](const std::filesystem::path& path) { return Model::load(path); }, "path"_a,
          nb::call_guard<nb::gil_scoped_release>(),
          "Map a .safetensors file, a Hugging Face folder, or read .smtx, .mtx or .npy.\n\n"
          "Raises InputError for damaged files, UsageError for paths that are no model.")
      .def_static("_of", &model_of, "named"_a, "name"_a, "config"_a = nb::none())
      .def_prop_ro("path", [](const Model& model) { return model.path().string(); })
      .def_prop_ro(
          "config", [](const Model& model) { return model.config(); }, "Text of config.json, or None.")
      .def(
          "layers",
          [](const Model& model, const Selection& selection) {
            std::vector<std::string> names;
            for (const Candidate& candidate : model.candidates(selection))
              if (candidate.selected) names.emplace_back(layer_name(candidate.tensor->name));
            return names;
          },
          "selection"_a = Selection{}, "Names of the selected linear layers.");
  m.def("_inspect", &inspect, "model"_a, "selection"_a, "dtype"_a);
  m.def("_prune", &prune, "model"_a, "output"_a, "sparsity"_a.none(), "scope"_a, "pattern"_a, "selection"_a,
        "overwrite"_a, "progress"_a.none());
  m.def("_prune_array", &prune_array, "array"_a.noconvert(), "bits"_a, "sparsity"_a.none(), "pattern"_a);
}

}  // namespace cross::python
