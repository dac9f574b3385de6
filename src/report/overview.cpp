// All layers side by side: table, heat maps, storage, bands.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "base/quantities.h"
#include "report/chart.h"
#include "report/heat_map.h"
#include "report/numbers.h"
#include "report/sections.h"
#include "report/theme.h"

namespace cross::report {
namespace {

using base::bytes_text;

/// A single wild time must not flatten all other bars: what is faster is cut here.
constexpr double most_speedup_shown = 8;

/// Token counts that any layer was compiled for.
struct Columns {
  std::set<std::int64_t> tokens;
  double most = 1;  ///< where bars end
};

Columns columns_of(const Report& report) {
  Columns columns;
  for (const LayerReport& layer : report.layers)
    for (const ReportTime& time : layer.times) {
      columns.tokens.insert(time.tokens);
      columns.most = std::clamp(time.speedup, columns.most, most_speedup_shown);
    }
  // More do not fit a page; the many tokens are what differs most from the few.
  constexpr std::size_t most_columns = 12;
  while (columns.tokens.size() > most_columns) columns.tokens.erase(std::next(columns.tokens.begin()));
  return columns;
}

/// A speed-up as a number over a bar, with a tick where dense stands.
void write_speedup(Markup& out, double speedup, double most) {
  out.inside("td", {{"class", "n speed"}, {"data-v", fmt::format("{:.6g}", speedup)}}, [&] {
    out.text(ratio(speedup));
    out.inside("span", {{"class", "gauge"}, {"style", fmt::format("--one:{:.1f}%", 100 / most)}},
               [&] { write_bar(out, speedup / most, speedup > 1.02 ? "var(--s0)" : "var(--s6)"); });
  });
}

/// A link to the details of a layer, where the page has them.
template <class Content>
void write_link(Page& page, std::size_t index, const std::string& kind, Content&& content) {
  Attributes attributes = {{"class", kind}};
  if (index < page.details.size()) attributes.emplace_back("href", fmt::format("#layer-{}", index));
  page.out.inside("a", attributes, content);
}

void write_layer_row(Page& page, std::size_t index, const Columns& columns) {
  Markup& out = page.out;
  const Report& report = page.report;
  const LayerExplanation& layer = report.plan.layers[index];
  out.inside("tr", {}, [&] {
    out.inside("th", {{"scope", "row"}, {"data-v", fmt::format("{}", index)}},
               [&] { write_link(page, index, "", [&] { write_name(out, layer.name); }); });
    write_number(out, percent(layer.sparsity), layer.sparsity);
    for (const std::int64_t tokens : columns.tokens) {
      const auto& times = report.layers[index].times;
      const auto time =
          std::find_if(times.begin(), times.end(), [&](const ReportTime& t) { return t.tokens == tokens; });
      write_speedup(out, time == times.end() ? 0 : time->speedup, columns.most);
    }
    out.inside("td", {{"class", "n"}, {"data-v", fmt::format("{}", layer.bytes_plan)}}, [&] {
      out.text(fmt::format("{} → {}", bytes_text(layer.bytes_dense), bytes_text(layer.bytes_plan)));
      out.inside("span", {{"class", "gauge"}}, [&] {
        write_bar(
            out,
            static_cast<double>(layer.bytes_plan) / std::max(1.0, static_cast<double>(layer.bytes_dense)),
            "var(--s4)");
      });
    });
    out.element("td", {{"class", "n"}, {"data-v", fmt::format("{}", layer.rows * layer.cols)}},
                fmt::format("{} × {}", layer.rows, layer.cols));
    out.element("td", {}, layer.tokens.empty() ? "" : layer.tokens.back().kernel);
  });
}

/// Sums over the layers that share a name.
class Shares {
 public:
  void add(const std::string& name, double value) { sums_[name] += value; }
  std::vector<BarPart> parts(const std::map<std::string, std::string>& colors) const {
    std::vector<BarPart> parts;
    for (const auto& [name, value] : sums_) {
      const auto color = colors.find(name);
      parts.push_back({name, value, color == colors.end() ? "var(--line)" : color->second});
    }
    std::stable_sort(parts.begin(), parts.end(),
                     [](const BarPart& a, const BarPart& b) { return a.value > b.value; });
    return parts;
  }

 private:
  std::map<std::string, double> sums_;
};

void write_labelled_bar(Markup& out, const std::string& label, const std::vector<BarPart>& parts,
                        double whole) {
  out.inside("div", {{"class", "labelled"}}, [&] {
    out.element("span", {}, label);
    write_stacked_bar(out, parts, whole);
  });
}

void write_bytes(Page& page) {
  const Report& report = page.report;
  Shares bytes, area;
  double whole = 0;
  for (const LayerExplanation& layer : report.plan.layers)
    for (const StoredCopy& copy : layer.copies)
      for (const FormatShare& share : copy.formats) {
        const double positions =
            share.share * static_cast<double>(layer.rows) * static_cast<double>(layer.cols);
        if (share.format != "empty") bytes.add(share.format, static_cast<double>(share.bytes));
        area.add(share.format, positions);
        whole += positions;
      }
  const auto other = static_cast<double>(report.bytes_other);
  const auto named = [](std::vector<BarPart> parts) {
    for (BarPart& part : parts) part.label += " " + bytes_text(static_cast<std::uint64_t>(part.value));
    return parts;
  };
  const std::string rest = "embeddings, norms, biases";
  std::vector<BarPart> before = {
      {"dense weights", static_cast<double>(report.plan.bytes_dense), "var(--s6)"}};
  std::vector<BarPart> after = bytes.parts(page.formats);
  if (other > 0) {
    before.push_back({rest, other, "var(--line)"});
    after.push_back({rest, other, "var(--line)"});
  }
  Markup& out = page.out;
  out.element("h3", {}, "Bytes");
  const double most = static_cast<double>(std::max(report.bytes_dense, report.bytes_plan));
  write_labelled_bar(out, "dense, " + bytes_text(report.bytes_dense), named(before), most);
  write_labelled_bar(out, "plan, " + bytes_text(report.bytes_plan), named(after), most);
  auto legend = named(after);
  legend.insert(legend.begin(), named({before.front()}).front());
  write_legend(out, legend);

  out.element("h3", {}, "Formats, by area of all stored copies");
  std::vector<BarPart> areas = area.parts(page.formats);
  for (BarPart& part : areas) part.label += " " + percent(part.value / std::max(whole, 1.0));
  write_stacked_bar(out, areas, whole);
  write_legend(out, areas);
}

/// Speed-up over sparsity, a dot a layer.
void write_speedup_chart(Page& page, const Columns& columns) {
  std::vector<Series> all;
  double sparsest = 0, densest = 1, least = 1, most = 1;
  for (const std::int64_t count : columns.tokens) {
    Series series{tokens(count), all.size() % dense_color, Mark::dots, {}};
    for (std::size_t i = 0; i < page.shown; ++i)
      for (const ReportTime& time : page.report.layers[i].times) {
        if (time.tokens != count || time.speedup < 0.01) continue;
        const LayerExplanation& layer = page.report.plan.layers[i];
        series.points.push_back({layer.sparsity, time.speedup,
                                 fmt::format("{}, {}: {} sparse, {}", layer.name, tokens(count),
                                             percent(layer.sparsity), ratio(time.speedup))});
        sparsest = std::max(sparsest, layer.sparsity);
        densest = std::min(densest, layer.sparsity);
        least = std::min(least, time.speedup);
        most = std::max(most, time.speedup);
      }
    if (!series.points.empty()) all.push_back(std::move(series));
  }
  if (all.empty()) return;
  const auto tenth_below = [](double share) { return std::floor(10 * share + 1e-6) / 10; };
  Chart chart{
      "Speed-up by sparsity",
      percent_axis("sparsity of the layer", tenth_below(densest), std::min(1.0, tenth_below(sparsest) + 0.1)),
      logarithmic_axis("speed-up over dense", least, std::min(most, 20.0),
                       [](double value) { return fmt::format("{:g}×", value); }),
      1,
      {},
      std::move(all)};
  page.out.element("h3", {}, chart.title);
  page.out.inside("div", {{"class", "charts"}}, [&] { page.out.add(draw(chart)); });
}

}  // namespace

void write_layer_table(Page& page) {
  const Columns columns = columns_of(page.report);
  Markup& out = page.out;
  open_section(
      out, "layers", "Layers",
      "Speed-ups are over the best dense library at that many tokens; the tick marks dense. A layer where "
      "sparsity does not pay runs that library and stands at 1. Names lead to the details.");
  open_table(out, "layers", "All layers");
  std::vector<std::string> headings = {"Layer", "#Sparse"};
  for (const std::int64_t count : columns.tokens) headings.push_back("#" + tokens(count));
  headings.insert(headings.end(), {"#Dense → plan", "#Shape", "Runs"});
  write_headings(out, headings);
  out.inside("tbody", {}, [&] {
    for (std::size_t i = 0; i < page.shown; ++i) write_layer_row(page, i, columns);
  });
  if (!page.report.totals.empty())
    out.inside("tfoot", {}, [&] {
      out.inside("tr", {}, [&] {
        out.element("th", {{"scope", "row"}}, "all layers");
        write_number(out, percent(page.report.sparsity), page.report.sparsity);
        for (const std::int64_t count : columns.tokens) {
          const auto& totals = page.report.totals;
          const auto total = std::find_if(totals.begin(), totals.end(),
                                          [&](const ReportTime& t) { return t.tokens == count; });
          write_speedup(out, total == totals.end() ? 0 : total->speedup, columns.most);
        }
        out.element("td", {{"class", "n"}},
                    fmt::format("{} → {}", bytes_text(page.report.plan.bytes_dense),
                                bytes_text(page.report.plan.bytes_plan)));
        out.element("td");
        out.element("td");
      });
    });
  close_table(out);
  write_left_out(out, page.report.layers.size(), page.shown, "rows");
  if (!page.report.totals.empty())
    out.element("p", {{"class", "note"}},
                fmt::format("Times: {}.", name_of(page.report.totals.back().evidence)));
  write_speedup_chart(page, columns);
  out.close();
}

void write_heat_maps(Page& page) {
  Markup& out = page.out;
  open_section(
      out, "heat-maps", "Where the weights are",
      "One picture a matrix, rows of W from top to bottom, in the model's order. A point is a block; its "
      "colour is the share of weights that pruning kept. Where there is no colour, nothing was kept.");
  out.inside("div", {{"class", "scale"}}, [&] {
    out.element("span", {}, "0 %");
    out.inside("span", {{"class", "steps"}}, [&] {
      for (int step = 1; step <= heat_steps; ++step) {
        const Color& c = heat_colors[static_cast<std::size_t>(step)];
        out.element("i", {{"style", fmt::format("background:#{:02x}{:02x}{:02x}", c.red, c.green, c.blue)}});
      }
    });
    out.element("span", {}, fmt::format("{:.0f} % kept", 100 * page.heat_scale));
  });
  out.inside("div", {{"class", "gallery"}}, [&] {
    for (std::size_t i = 0; i < page.shown; ++i) {
      const LayerExplanation& layer = page.report.plan.layers[i];
      const DensityGrid& grid = page.report.layers[i].as_stored;
      if (grid.density.empty()) continue;
      write_link(page, i, "thumbnail", [&] {
        write_map(out, grid, map_id(i, false),
                  fmt::format("Densities of {}: {} sparse, {}", layer.name, percent(layer.sparsity),
                              layer.structure));
        write_name(out, layer.name);
        out.element("small", {}, fmt::format("{} sparse, {}", percent(layer.sparsity), layer.structure));
      });
    }
  });
  out.close();
}

void write_storage(Page& page) {
  Markup& out = page.out;
  open_section(out, "storage", "What is stored", "");
  write_bytes(page);
  double dense = 0, swing = 0, sparse = 0, empty = 0;
  for (const LayerExplanation& layer : page.report.plan.layers) {
    dense += layer.blocks_dense;
    swing += layer.blocks_swing;
    sparse += layer.blocks_sparse;
    empty += layer.blocks_empty;
  }
  if (const double all = dense + swing + sparse + empty; all > 0) {
    const auto label = [&](const char* band, double blocks) {
      return fmt::format("{} {:.0f} blocks, {}", band, blocks, percent(blocks / all));
    };
    std::vector<BarPart> parts = {{label("dense", dense), dense, "var(--s1)"},
                                  {label("swing", swing), swing, "var(--s3)"},
                                  {label("sparse", sparse), sparse, "var(--s0)"},
                                  {label("empty", empty), empty, "var(--line)"}};
    std::erase_if(parts, [](const BarPart& part) { return part.value == 0; });
    out.element("h3", {}, "Bands");
    out.element("p", {{"class", "note"}},
                "What the prices say of each block of the partition: cheaper dense, cheaper sparse, or too "
                "close to tell.");
    write_stacked_bar(out, parts, all);
    write_legend(out, parts);
  }
  out.close();
}

}  // namespace cross::report
