#include "support/make_plan.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "compiler/pack/pack.h"
#include "kernels/dense/dense_product.h"
#include "kernels/table.h"
#include "plan/formats/layout.h"

namespace cross::testing {
namespace {

PlanArithmetic arithmetic_of(DType dtype) {
  return static_cast<PlanArithmetic>(kernels::arithmetic_for(dtype, kernels::active_isa()));
}

/// Packed row → row of W: odd rows first, then even ones backwards.
std::vector<std::int32_t> some_order(std::int64_t rows) {
  std::vector<std::int32_t> order;
  for (std::int32_t r = 1; r < rows; r += 2) order.push_back(r);
  for (std::int32_t r = 0; r < rows; r += 2) order.push_back(r);
  std::reverse(order.begin() + rows / 2, order.end());
  return order;
}

Packing pack_sparse(const Array& weight, const PlanRecipe& recipe, const std::vector<std::int32_t>& order) {
  Packing packing;
  packing.arithmetic = arithmetic_of(weight.dtype());
  const auto arithmetic = static_cast<kernels::Arithmetic>(packing.arithmetic);
  const std::int64_t block = kernels::k_block_elements * kernels::columns_per_element(arithmetic);
  const std::int64_t extent =
      recipe.segment_cols == 0 ? weight.cols() : (recipe.segment_cols + block - 1) / block * block;
  std::vector<std::byte> data;
  std::size_t turn = 0;
  for (std::int64_t row = 0; row < weight.rows(); row += recipe.panel_rows) {
    const auto rows = static_cast<int>(std::min<std::int64_t>(recipe.panel_rows, weight.rows() - row));
    const std::span<const std::int32_t> sources(order.data() + row, static_cast<std::size_t>(rows));
    const compiler::PanelSource source(weight.view(), weight.dtype(), sources);
    Panel panel{row, rows, {}};
    for (std::int64_t begin = 0; begin < weight.cols(); begin += extent) {
      const std::int64_t end = std::min(begin + extent, weight.cols());
      Segment segment;
      segment.format = recipe.formats[turn++ % recipe.formats.size()];
      if (source.kept(begin, end) == 0) segment.format = Format::empty;
      segment.k_begin = begin;
      segment.k_end = end;
      if (segment.format == Format::n_m) segment.keep = recipe.keep, segment.group = recipe.group;
      segment.offset = data.size();
      compiler::pack_segment(
          source, begin, {segment.format, arithmetic, rows, end - begin, segment.keep, segment.group}, data);
      segment.bytes = data.size() - segment.offset;
      // Half of the empty regions are holes between segments, the others segments of their own.
      if (segment.format != Format::empty || turn % 2 == 0) panel.segments.push_back(segment);
    }
    packing.panels.push_back(panel);
  }
  data.resize(formats::round_up(data.size(), 64) + formats::segment_overread);
  packing.data = Blob::own(std::move(data));
  return packing;
}

Packing pack_dense(const Array& weight) {
  Packing packing;
  packing.arithmetic = arithmetic_of(weight.dtype());
  std::vector<std::byte> data = weight.bytes();
  data.resize(formats::round_up(data.size(), 64) + formats::segment_overread);
  packing.data = Blob::own(std::move(data));
  return packing;
}

}  // namespace

std::vector<float> bias_of(std::int64_t rows) {
  std::vector<float> bias;
  for (std::int64_t r = 0; r < rows; ++r) bias.push_back(0.25f * static_cast<float>(r % 13) - 1.0f);
  return bias;
}

LayerPlan make_layer(const Array& weight, const PlanRecipe& recipe) {
  LayerPlan layer;
  layer.name = "layer";
  layer.rows = weight.rows();
  layer.cols = weight.cols();
  layer.source_dtype = weight.dtype();
  for (std::int64_t r = 0; r < weight.rows(); ++r)
    for (std::int64_t c = 0; c < weight.cols(); ++c) layer.nnz += weight.bits(r, c) != 0 ? 1 : 0;
  if (recipe.bias) layer.bias = bias_of(layer.rows);

  Variant variant;
  variant.tokens = recipe.tokens;
  if (recipe.formats == std::vector{Format::dense}) {
    layer.packings.push_back(pack_dense(weight));
    variant.shape = "library";
    variant.library =
        recipe.library.empty() ? std::string(name_of(kernels::dense_libraries().front())) : recipe.library;
    layer.variants.push_back(variant);
    return layer;
  }
  std::vector<std::int32_t> order(static_cast<std::size_t>(layer.rows));
  std::iota(order.begin(), order.end(), 0);
  if (recipe.reorder_rows) order = layer.row_order = some_order(layer.rows);
  layer.packings.push_back(pack_sparse(weight, recipe, order));

  variant.shape = recipe.shape;
  variant.item_tokens = recipe.item_tokens;
  variant.policy = recipe.policy;
  variant.scheduled_items = recipe.scheduled_items;
  const auto panels = static_cast<int>(layer.packings[0].panels.size());
  variant.schedule.resize(static_cast<std::size_t>(recipe.workers));
  for (int item = 0; item < recipe.scheduled_items; ++item)
    for (int panel = 0; panel < panels; ++panel) {
      const int worker = item % 2 == 0 ? panel % recipe.workers : recipe.workers - 1 - panel % recipe.workers;
      variant.schedule[static_cast<std::size_t>(worker)].push_back({item, panel});
    }
  layer.variants.push_back(variant);
  return layer;
}

Plan make_plan(const Array& weight, const PlanRecipe& recipe) {
  Plan plan;
  plan.dtype = weight.dtype();
  plan.source = "model.safetensors";
  plan.compiled_by = "cross test";
  plan.compiled_on = "test CPU";
  plan.threads = recipe.workers;
  plan.profile = "none";
  plan.profile_source = "made for a test";
  plan.layers.push_back(make_layer(weight, recipe));
  return plan;
}

}  // namespace cross::testing
