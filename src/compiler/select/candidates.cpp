#include "compiler/select/candidates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/table.h"

namespace cross::compiler {
namespace {

/// Formats that a mixed layout may give to a region: those whose segments may start at any K block.
const std::vector<Format> region_formats = {Format::index8, Format::block, Format::bitmap};

/// A change of format within a panel costs another pass over the panel's accumulators: measured at 2–4 % of a
/// block.
constexpr double switch_share = 0.04;

/// Shapes whose prices are this close are both measured.
constexpr double close_call = 1.5;

/// Every shape that can run all segments of the layout, cheapest first.
std::vector<PricedShape> priced_shapes(const CandidateInputs& in, const BlockCounts& counts,
                                       const PackingLayout& layout, std::int64_t tokens) {
  std::vector<PricedShape> shapes;
  for (const char* shape : {"tile", "dot"}) {
    if (std::string_view(shape) == "dot" && tokens > kernels::max_dot_tokens) continue;
    std::vector<double> panels = panel_prices_of(in.profile, counts, layout, shape, tokens);
    const double sum = std::accumulate(panels.begin(), panels.end(), 0.0);
    if (std::isfinite(sum)) shapes.push_back({shape, sum / 1000, std::move(panels)});
  }
  std::stable_sort(shapes.begin(), shapes.end(), [](const PricedShape& a, const PricedShape& b) {
    return a.predicted_us < b.predicted_us;
  });
  return shapes;
}

/// Prices a layout for all token counts; marks it dropped if some count cannot run it.
void price(const CandidateInputs& in, const BlockCounts& counts, LayoutCandidate& candidate) {
  for (const std::int64_t tokens : in.tokens) {
    std::vector<PricedShape> shapes = priced_shapes(in, counts, candidate.layout, tokens);
    if (shapes.empty()) {
      candidate.dropped = fmt::format("no kernel of this CPU runs it at {} tokens", tokens);
      return;
    }
    const bool close = shapes.size() > 1 && shapes[1].predicted_us < close_call * shapes[0].predicted_us;
    candidate.close_shapes.push_back(close ? std::optional(std::move(shapes[1])) : std::nullopt);
    candidate.shapes.push_back(std::move(shapes[0]));
  }
}

LayoutCandidate uniform(const BlockCounts& counts, Format format, int keep, int group) {
  LayoutCandidate candidate;
  candidate.name = format == Format::n_m && group > 0 ? fmt::format("n_m {}:{}", keep, group)
                                                      : std::string(name_of(format));
  candidate.layout =
      uniform_layout(counts.rows, counts.cols, counts.panel_rows, counts.arithmetic, format, keep, group);
  return candidate;
}

/// The same blocks where an element is one column: lists of single columns store no zeros beside kept ones.
BlockCounts single_columns(const BlockCounts& pairs) {
  BlockCounts columns = pairs;
  columns.arithmetic = kernels::Arithmetic::bf16_widened;
  columns.elements = pairs.nnz;
  return columns;
}

/// Cuts every panel into segments of the cheapest formats (partition/merge_regions).
LayoutCandidate mixed(const BlockCounts& counts, const PriceGrid& grid) {
  LayoutCandidate candidate;
  candidate.layout.arithmetic = counts.arithmetic;
  const double mean_dense = std::accumulate(grid.dense.begin(), grid.dense.end(), 0.0) /
                            static_cast<double>(std::max<std::size_t>(1, grid.dense.size()));
  for (std::int64_t r = 0; r < grid.rows; ++r) {
    Panel panel{r * counts.panel_rows, static_cast<int>(counts.rows_of(r)), {}};
    for (const Segment& s : merge_regions(panel_prices(grid, r), switch_share * mean_dense).segments) {
      if (s.choice == skip_choice) continue;
      const Format format =
          s.choice == dense_choice ? Format::dense_panel : region_formats[static_cast<std::size_t>(s.choice)];
      panel.segments.push_back({format, s.first * counts.block_cols,
                                std::min(s.end * counts.block_cols, counts.cols), 0, 0, 0, 0});
    }
    candidate.layout.panels.push_back(std::move(panel));
  }
  return candidate;
}

bool one_format(const PackingLayout& layout) {
  std::optional<Format> first;
  for (const Panel& panel : layout.panels)
    for (const cross::Segment& s : panel.segments) {
      if (first && *first != s.format) return false;
      first = s.format;
    }
  return true;
}

bool no_segments(const PackingLayout& layout) {
  return std::all_of(layout.panels.begin(), layout.panels.end(),
                     [](const Panel& p) { return p.segments.empty(); });
}

double total(const LayoutCandidate& candidate) {
  double sum = 0;
  for (const PricedShape& shape : candidate.shapes) sum += std::log(std::max(shape.predicted_us, 1e-6));
  return sum;
}

/// A mixed layout must promise enough to be worth its more complicated execution.
void drop_useless_mixture(LayoutCandidate& mixture, const std::vector<LayoutCandidate>& others) {
  constexpr double least_gain = 0.03;
  if (!mixture.dropped.empty() || no_segments(mixture.layout)) return;
  if (one_format(mixture.layout) && !mixture.sorted) {
    mixture.dropped = "every region chose the same format";
    return;
  }
  for (const LayoutCandidate& other : others) {
    if (!other.dropped.empty()) continue;
    const double gain = (total(other) - total(mixture)) / static_cast<double>(mixture.shapes.size());
    if (gain < least_gain) {
      mixture.dropped = fmt::format("promises {:.1f} % over {}, less than {:.0f} %", 100 * gain, other.name,
                                    100 * least_gain);
      return;
    }
  }
}

std::string reason_without_structure(const CandidateInputs& in, Format format) {
  if (format == Format::n_m && !in.analysis.n_m) return "the mask keeps no N of every M";
  if (format == Format::n_m && in.analysis.n_m->by_chance) return "the mask keeps N of M by chance only";
  if (format == Format::block) {
    const auto vectors =
        std::accumulate(in.natural.vectors.begin(), in.natural.vectors.end(), std::int64_t{0});
    const auto elements =
        std::accumulate(in.natural.elements.begin(), in.natural.elements.end(), std::int64_t{0});
    const double fill =
        vectors == 0 ? 1.0 : static_cast<double>(elements) / (4.0 * static_cast<double>(vectors));
    // Below this even free loads of X do not make up for multiplying zeros.
    if (fill < 0.5) return fmt::format("column vectors of four rows are only {:.0f} % filled", 100 * fill);
  }
  return {};
}

}  // namespace

CandidateSet enumerate_candidates(const CandidateInputs& in) {
  CandidateSet set;
  const PriceGrid grid = price_grid(in.profile, in.natural, region_formats, in.tokens);
  set.bands = partition(grid, in.delta).counts;

  const bool n_m = in.analysis.n_m.has_value();
  for (const Format format :
       {Format::index8, Format::bitmap, Format::n_m, Format::block, Format::dense_panel}) {
    const int keep = format == Format::n_m && n_m ? in.analysis.n_m->keep : 0;
    const int group = format == Format::n_m && n_m ? in.analysis.n_m->group : 0;
    LayoutCandidate candidate = uniform(in.natural, format, keep, group);
    if (in.only != "auto" && in.only != name_of(format)) continue;
    candidate.dropped = reason_without_structure(in, format);
    if (in.only != "auto" && (format != Format::n_m || n_m)) candidate.dropped.clear();
    if (candidate.dropped.empty()) price(in, in.natural, candidate);
    set.candidates.push_back(std::move(candidate));
    if (format != Format::index8 || in.natural.arithmetic != kernels::Arithmetic::bf16_pair) continue;
    const BlockCounts columns = single_columns(in.natural);
    LayoutCandidate single = uniform(columns, format, 0, 0);
    single.name += ", single columns";
    price(in, columns, single);
    set.candidates.push_back(std::move(single));
  }
  if (in.only != "auto" && in.only != "mixed") return set;

  const auto add_mixture = [&](const BlockCounts& counts, const PriceGrid& prices, bool sorted) {
    LayoutCandidate candidate = mixed(counts, prices);
    candidate.name = no_segments(candidate.layout) ? "empty" : sorted ? "mixed, rows by density" : "mixed";
    candidate.sorted = sorted;
    price(in, counts, candidate);
    if (in.only == "auto") drop_useless_mixture(candidate, set.candidates);
    set.candidates.push_back(std::move(candidate));
  };
  add_mixture(in.natural, grid, false);
  if (in.sorted != nullptr)
    add_mixture(*in.sorted, price_grid(in.profile, *in.sorted, region_formats, in.tokens), true);
  return set;
}

}  // namespace cross::compiler
