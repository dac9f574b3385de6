#include "plan/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/parallel.h"
#include "base/quote.h"
#include "cross/error.h"
#include "plan/formats/decode.h"
#include "plan/formats/gpu/packed.h"

namespace cross::plan_file {
namespace {

/// Pieces that a schedule may have: far more than any real one, little enough to check.
constexpr std::size_t max_schedule = std::size_t{1} << 24;

/// Collects the words that every message about one layer starts with.
class LayerCheck {
 public:
  LayerCheck(const Plan& plan, const LayerPlan& layer, const std::string& file, std::size_t threads)
      : plan_(plan),
        layer_(layer),
        threads_(threads),
        where_(fmt::format("{}: layer {}", file, base::in_quotes(layer.name))) {}

  void run() const {
    if (layer_.packings.empty() || layer_.variants.empty()) refuse("it has no packing or no variant");
    for (const Packing& packing : layer_.packings) check_packing(packing);
    std::int64_t previous = 0;
    for (const Variant& variant : layer_.variants) {
      if (variant.tokens <= previous) refuse("the token counts of its variants do not ascend");
      previous = variant.tokens;
      check_variant(variant);
    }
    check_row_order();
    if (!layer_.bias.empty() && layer_.bias.size() != static_cast<std::size_t>(layer_.rows))
      refuse(fmt::format("the bias has {} values for {} rows", layer_.bias.size(), layer_.rows));
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw InputError(fmt::format("{}: {}", where_, why));
  }

  bool cuda() const { return plan_.device == "cuda"; }

  void check_packing(const Packing& packing) const {
    if ((packing.arithmetic == PlanArithmetic::fp32) != (plan_.dtype == DType::fp32) ||
        (packing.arithmetic == PlanArithmetic::mma) != (cuda() && plan_.dtype != DType::fp32))
      refuse("a packing's arithmetic does not fit the plan's dtype");
    const std::size_t overread = formats::segment_overread;
    const std::size_t size = packing.data.bytes.size();
    if (size < overread) refuse("a packing's data lacks its 64 trailing bytes");
    // So that all packings of a file start at a cache line, and no value at an odd address.
    if (size % 64 != 0) refuse(fmt::format("a packing's data is {} bytes, not a multiple of 64", size));
    if (reinterpret_cast<std::uintptr_t>(packing.data.bytes.data()) % 4 != 0)
      refuse("a packing's data must start at a multiple of 4 bytes of the file");
    if (packing.dense()) {
      if (size - overread != formats::round_up(layer_.dense_bytes(plan_.dtype), 64))
        refuse(fmt::format("the dense matrix has {} bytes; {}x{} {} needs {}", size - overread, layer_.rows,
                           layer_.cols, name_of(plan_.dtype), layer_.dense_bytes(plan_.dtype)));
      return;
    }
    if (cuda()) return check_gpu_packing(packing);
    std::int64_t next_row = 0;
    for (const Panel& panel : packing.panels) {
      if (panel.row_begin != next_row)
        refuse(fmt::format("row panels leave a hole or overlap at row {}", next_row));
      next_row += panel.rows;
      check_panel(packing, panel);
    }
    if (next_row != layer_.rows)
      refuse(fmt::format("row panels end at row {}, not {}", next_row, layer_.rows));
  }

  /// One panel of all rows, one segment of all columns, one blob.
  void check_gpu_packing(const Packing& packing) const {
    const std::size_t size = packing.data.bytes.size() - formats::segment_overread;
    if (packing.panels.size() != 1 || packing.panels[0].row_begin != 0 ||
        packing.panels[0].rows != layer_.rows)
      refuse(fmt::format("a packing of a CUDA plan must be one panel of all {} rows", layer_.rows));
    const Panel& panel = packing.panels[0];
    if (panel.segments.size() != 1 || panel.segments[0].k_begin != 0 ||
        panel.segments[0].k_end != layer_.cols)
      refuse(fmt::format("a packing of a CUDA plan must be one segment of all {} columns", layer_.cols));
    const Segment& s = panel.segments[0];
    if (!is_gpu_format(s.format))
      refuse(fmt::format("format {} is not for device \"cuda\"", name_of(s.format)));
    if (!formats::gpu::holds(s.format, plan_.dtype))
      refuse(fmt::format("format {} does not hold {} values", name_of(s.format), name_of(plan_.dtype)));
    if (s.offset != 0 || s.bytes > size)
      refuse(fmt::format("its segment's bytes [{}, +{}) must start at 0 and lie in the {} packed bytes",
                         s.offset, s.bytes, size));
    const std::string error =
        formats::gpu::check(packing.data.bytes.first(s.bytes), s.format, layer_.rows, layer_.cols, threads_);
    if (!error.empty()) refuse(fmt::format("{}: {}", name_of(s.format), error));
  }

  void check_panel(const Packing& packing, const Panel& panel) const {
    const std::size_t size = packing.data.bytes.size() - formats::segment_overread;
    const auto arithmetic = static_cast<formats::Arithmetic>(packing.arithmetic);
    const std::int64_t block = kernels::k_block_elements * kernels::columns_per_element(arithmetic);
    std::int64_t previous_end = 0;
    for (const Segment& s : panel.segments) {
      if (is_gpu_format(s.format)) refuse(fmt::format("format {} is for device \"cuda\"", name_of(s.format)));
      const std::string name =
          fmt::format("segment [{}, {}) of the panel at row {}", s.k_begin, s.k_end, panel.row_begin);
      if (s.k_begin < previous_end || s.k_end <= s.k_begin || s.k_end > layer_.cols)
        refuse(name + " overlaps its neighbour, is empty or leaves the matrix");
      if (s.k_begin % block != 0) refuse(fmt::format("{} must start at a multiple of {}", name, block));
      previous_end = s.k_end;
      if (s.offset % 4 != 0 || s.offset > size || s.bytes > size - s.offset)
        refuse(fmt::format("{}: bytes [{}, +{}) leave the {} packed bytes", name, s.offset, s.bytes, size));
      const formats::SegmentShape shape{s.format, arithmetic, panel.rows, s.k_end - s.k_begin,
                                        s.keep,   s.group};
      const auto checked = formats::check_segment(packing.data.bytes.subspan(s.offset, s.bytes), shape);
      if (!checked.error.empty()) refuse(fmt::format("{}: {}", name, checked.error));
      if (checked.bytes != s.bytes)
        refuse(fmt::format("{}: {} bytes, {} used", name, s.bytes, checked.bytes));
    }
  }

  void check_variant(const Variant& v) const {
    if (static_cast<std::size_t>(v.packing) >= layer_.packings.size())
      refuse(fmt::format("a variant names packing {} of {}", v.packing, layer_.packings.size()));
    const Packing& packing = layer_.packings[static_cast<std::size_t>(v.packing)];
    if (cuda()) return check_gpu_variant(v, packing);
    if (!v.algorithm.empty()) refuse("\"algorithm\" is for device \"cuda\"");
    if (packing.dense()) {
      if (v.shape != "library" || (v.library != "onednn" && v.library != "openblas"))
        refuse(
            "a variant of a dense packing must name shape \"library\" and library \"onednn\" or "
            "\"openblas\"");
      return;
    }
    if (v.shape != "tile" && v.shape != "dot") refuse("a variant's shape must be \"tile\" or \"dot\"");
    if (v.shape == "dot")
      for (const Panel& panel : packing.panels)
        for (const Segment& s : panel.segments)
          if (s.format == Format::block || s.format == Format::dense_panel)
            refuse(fmt::format("shape \"dot\" cannot run format {}", name_of(s.format)));
    if (v.item_tokens < 1 || v.scheduled_items < 1)
      refuse("item_tokens and scheduled_items must be at least 1");
    const std::size_t panels = packing.panels.size();
    if (static_cast<std::size_t>(v.scheduled_items) > max_schedule / panels)
      refuse(
          fmt::format("a schedule of {} items for {} panels is absurdly large", v.scheduled_items, panels));
    std::vector<bool> seen(panels * static_cast<std::size_t>(v.scheduled_items));
    std::size_t count = 0;
    for (const auto& worker : v.schedule) {
      for (const PlanPiece& piece : worker) {
        if (piece.item >= v.scheduled_items || static_cast<std::size_t>(piece.panel) >= panels)
          refuse(fmt::format("the schedule names item {}, panel {}", piece.item, piece.panel));
        const std::size_t at =
            static_cast<std::size_t>(piece.item) * panels + static_cast<std::size_t>(piece.panel);
        if (seen[at])
          refuse(fmt::format("the schedule runs item {}, panel {} twice", piece.item, piece.panel));
        seen[at] = true;
        ++count;
      }
    }
    if (count != seen.size()) refuse("the schedule leaves out a panel");
  }

  void check_gpu_variant(const Variant& v, const Packing& packing) const {
    const bool library = v.shape == "cusparselt";
    if (library && (packing.dense() || packing.panels.at(0).segments.at(0).format != Format::two_four))
      refuse("shape \"cusparselt\" is for format two_four");
    const bool packed = v.shape == "decode" || v.shape == "prefill" || library;
    if (packing.dense() ? v.shape != "library" : !packed && v.shape != "expand")
      refuse(
          "a variant's shape must be \"library\" for a dense packing, else \"decode\", \"prefill\", "
          "\"cusparselt\" or "
          "\"expand\"");
    if (v.library != (packed ? "" : "cublaslt"))
      refuse(
          "a variant must name library \"cublaslt\" for shapes \"library\" and \"expand\", and none for the "
          "others");
    if (v.item_tokens != 0 || v.scheduled_items != 0 || !v.schedule.empty())
      refuse("a variant for device \"cuda\" has no schedule");
    constexpr std::size_t longest = 256;
    if (v.algorithm.size() > longest ||
        v.algorithm.find_first_not_of("0123456789abcdef.:") != std::string::npos)
      refuse("a variant's algorithm must be a version and hexadecimal digits");
  }

  void check_row_order() const {
    if (layer_.row_order.empty()) return;
    if (cuda()) refuse("a layer for device \"cuda\" keeps its row order");
    if (layer_.row_order.size() != static_cast<std::size_t>(layer_.rows))
      refuse("row_order has the wrong length");
    std::vector<bool> seen(layer_.row_order.size());
    for (const std::int32_t row : layer_.row_order) {
      if (row < 0 || row >= layer_.rows || seen[static_cast<std::size_t>(row)])
        refuse(fmt::format("row_order is no permutation: row {}", row));
      seen[static_cast<std::size_t>(row)] = true;
    }
  }

  const Plan& plan_;
  const LayerPlan& layer_;
  std::size_t threads_;
  std::string where_;
};

}  // namespace

void check_plan(const Plan& plan, const std::string& file, std::size_t threads) {
  // Layers share out the threads; what is left over helps inside each, so that a plan of one layer has all.
  const std::size_t inside = std::max<std::size_t>(1, threads / std::max<std::size_t>(1, plan.layers.size()));
  base::for_each_parallel(plan.layers.size(), threads,
                          [&](std::size_t i) { LayerCheck(plan, plan.layers[i], file, inside).run(); });
}

}  // namespace cross::plan_file
