// Everything about each layer: maps, storage, kernels with their rivals, worker loads.
#include <fmt/format.h>

#include <algorithm>

#include "base/quantities.h"
#include "report/numbers.h"
#include "report/sections.h"
#include "report/theme.h"

namespace cross::report {
namespace {

using base::bytes_text;

/// Few layers are read one by one: their details start open.
constexpr std::size_t open_details = 4;

class LayerDetails {
 public:
  LayerDetails(const Page& page, std::size_t index, Markup& out)
      : page_(page),
        out_(out),
        index_(index),
        layer_(page.report.plan.layers[index]),
        report_(page.report.layers[index]) {}

  void run() {
    Attributes attributes = {{"class", "layer"}};
    if (page_.report.layers.size() <= open_details) attributes.emplace_back("open", "open");
    out_.inside("details", attributes, [&] {
      out_.inside("summary", {}, [&] {
        out_.inside("h3", {}, [&] { write_name(out_, layer_.name); });
        out_.element("span", {{"class", "quiet"}}, headline());
      });
      out_.inside("div", {{"id", fmt::format("layer-{}", index_)}, {"class", "content"}}, [&] {
        pictures();
        facts();
        kernels();
        rivals();
        loads();
      });
    });
  }

 private:
  std::string headline() const {
    std::string text = fmt::format("{} × {}, {} sparse", layer_.rows, layer_.cols, percent(layer_.sparsity));
    if (!report_.times.empty() && report_.times.back().speedup > 0)
      text +=
          fmt::format(", {} at {}", ratio(report_.times.back().speedup), tokens(report_.times.back().tokens));
    return text;
  }

  void pictures() {
    out_.inside("div", {{"class", "pictures"}}, [&] {
      picture(report_.as_stored, false, "rows in the model's order");
      picture(report_.as_packed, true, "rows in packed order");
      regions();
    });
  }

  void picture(const DensityGrid& grid, bool packed, const std::string& caption) {
    if (grid.density.empty()) return;
    const auto [least, most] = std::minmax_element(grid.density.begin(), grid.density.end());
    const std::string text = fmt::format("{}; blocks of {} × {} keep {} to {}", caption, grid.block,
                                         grid.block, percent(*least), percent(*most));
    out_.inside("figure", {}, [&] {
      write_map(out_, grid, map_id(index_, packed), "Densities, " + text);
      out_.element("figcaption", {}, text);
    });
  }

  void regions() {
    if (report_.regions.empty()) return;
    std::vector<BarPart> legend;
    out_.inside("figure", {}, [&] {
      out_.inside("svg",
                  {{"class", "map"},
                   {"viewBox", fmt::format("0 0 {} {}", layer_.cols, layer_.rows)},
                   {"role", "img"},
                   {"aria-label", "Formats by region, rows in packed order"}},
                  [&] {
                    for (const FormatRegion& region : report_.regions) region_rectangle(region, legend);
                  });
      out_.inside("figcaption", {}, [&] {
        out_.text("formats by region, rows in packed order");
        write_legend(out_, legend);
      });
    });
  }

  void region_rectangle(const FormatRegion& region, std::vector<BarPart>& legend) {
    const auto found = page_.formats.find(region.format);
    const std::string color = found == page_.formats.end() ? "var(--line)" : found->second;
    if (std::none_of(legend.begin(), legend.end(),
                     [&](const BarPart& p) { return p.label == region.format; }))
      legend.push_back({region.format, 1, color});
    out_.element("rect", {{"x", fmt::format("{}", region.k_begin)},
                          {"y", fmt::format("{}", region.row_begin)},
                          {"width", fmt::format("{}", region.k_end - region.k_begin)},
                          {"height", fmt::format("{}", region.row_end - region.row_begin)},
                          {"style", "fill:" + color}});
  }

  void fact(const std::string& name, const std::string& value) {
    if (value.empty()) return;
    out_.element("dt", {}, name);
    out_.element("dd", {}, value);
  }

  void facts() {
    out_.inside("dl", {{"class", "facts"}}, [&] {
      fact("Structure", layer_.structure);
      fact("Row order", layer_.row_order);
      if (layer_.blocks_dense + layer_.blocks_swing + layer_.blocks_sparse + layer_.blocks_empty > 0)
        fact("Bands", fmt::format("{} dense, {} swing, {} sparse, {} empty blocks", layer_.blocks_dense,
                                  layer_.blocks_swing, layer_.blocks_sparse, layer_.blocks_empty));
      fact("Bytes",
           fmt::format("{} dense, {} packed; {}", bytes_text(layer_.bytes_dense),
                       bytes_text(layer_.bytes_plan), size_change(layer_.bytes_dense, layer_.bytes_plan)));
      for (const StoredCopy& copy : layer_.copies) fact("Stored", copy_text(copy));
    });
  }

  static std::string copy_text(const StoredCopy& copy) {
    std::string text;
    for (const FormatShare& share : copy.formats)
      text +=
          fmt::format("{}{} {} of the area", text.empty() ? "" : ", ", share.format, percent(share.share));
    if (copy.panels > 0) text += fmt::format("; {} row panel{}", copy.panels, copy.panels == 1 ? "" : "s");
    return fmt::format("{}; {}, {}", text, bytes_text(copy.bytes), copy.arithmetic);
  }

  void kernels() {
    if (layer_.tokens.empty()) return;
    open_table(out_, "kernels", "Kernels by token count");
    write_headings(out_, {"Tokens", "Runs", "#Predicted", "#Measured", "#Dense", "Library", "#Speed-up",
                          "Dealt by", "#Imbalance predicted", "#Imbalance measured"});
    out_.inside("tbody", {}, [&] {
      for (std::size_t t = 0; t < layer_.tokens.size(); ++t) kernel_row(layer_.tokens[t], report_.times[t]);
    });
    close_table(out_);
  }

  void kernel_row(const TokensDecision& at, const ReportTime& time) {
    out_.inside("tr", {}, [&] {
      out_.element("th", {{"scope", "row"}}, fmt::format("{}", at.tokens));
      out_.element("td", {}, at.kernel);
      write_number(out_, microseconds(at.predicted_us), at.predicted_us);
      const bool benched = time.evidence == Evidence::benched;
      const double measured = benched ? time.cross_us : at.measured_us;
      const double dense = benched                    ? time.dense_us
                           : at.dense_measured_us > 0 ? at.dense_measured_us
                                                      : at.dense_predicted_us;
      write_number(out_, microseconds(measured), measured);
      write_number(out_, microseconds(dense), dense);
      out_.element("td", {}, at.dense.starts_with("dense ") ? at.dense.substr(6) : at.dense);
      write_number(out_, ratio(time.speedup), time.speedup);
      out_.element("td", {}, at.balance ? at.policy : "");
      const double predicted = predicted_imbalance(at);
      const auto change = [](double before, double after) {
        if (!(after > 0)) return std::string();
        return before > 0 ? fmt::format("{:.3f} → {:.3f}", before, after) : fmt::format("{:.3f}", after);
      };
      write_number(out_, at.balance ? change(at.balance->same, predicted) : "", predicted);
      write_number(out_, at.balance ? change(at.balance->measured_same, at.balance->measured) : "",
                   at.balance ? at.balance->measured : 0);
    });
  }

  void rivals() {
    std::size_t count = 0;
    for (const TokensDecision& at : layer_.tokens) count += at.rejected.size();
    if (count == 0) return;
    out_.inside("details", {}, [&] {
      out_.element("summary", {}, "What else was considered, and why it was not taken");
      open_table(out_, "rivals", "Rejected candidates");
      write_headings(out_, {"Tokens", "Candidate", "#Predicted", "#Measured", "#Size", "Why not"});
      out_.inside("tbody", {}, [&] {
        for (const TokensDecision& at : layer_.tokens)
          for (const CandidateRecord& candidate : at.rejected)
            out_.inside("tr", {}, [&] {
              out_.element("td", {}, fmt::format("{}", at.tokens));
              out_.element("th", {{"scope", "row"}}, candidate.name);
              out_.element("td", {{"class", "n"}}, microseconds(candidate.predicted_us));
              out_.element("td", {{"class", "n"}}, microseconds(candidate.measured_us));
              out_.element("td", {{"class", "n"}}, candidate.bytes > 0 ? bytes_text(candidate.bytes) : "–");
              out_.element("td", {}, candidate.reason);
            });
      });
      close_table(out_);
    });
  }

  void loads() {
    const bool any = std::any_of(layer_.tokens.begin(), layer_.tokens.end(), [](const TokensDecision& at) {
      return at.balance && !at.balance->after.predicted.empty();
    });
    if (!any) return;
    out_.inside("details", {}, [&] {
      out_.element("summary", {}, "Load of each worker, before and after balance");
      out_.element("p", {{"class", "note"}}, "The line marks the mean: bars that end there are even.");
      out_.inside("div", {{"class", "charts"}}, [&] {
        for (const TokensDecision& at : layer_.tokens)
          if (at.balance) {
            worker_loads(at, "before", at.balance->before, "var(--s6)");
            worker_loads(at, at.policy, at.balance->after, "var(--s0)");
          }
      });
    });
  }

  void worker_loads(const TokensDecision& at, const std::string& policy,
                    const LayerDecision::WorkerLoads& loads, const std::string& color) {
    const auto bars = [&](const char* kind, const std::vector<double>& values) {
      if (values.empty()) return;
      double most = 1.25;
      for (const double value : values) most = std::max(most, value);
      out_.inside("figure", {{"class", "loads"}}, [&] {
        out_.element("figcaption", {}, fmt::format("{}, {}, {}", tokens(at.tokens), policy, kind));
        out_.inside("div", {{"class", "gauge"}, {"style", fmt::format("--one:{:.1f}%", 100 / most)}}, [&] {
          for (const double value : values) write_bar(out_, value / most, color);
        });
      });
    };
    bars("predicted", loads.predicted);
    bars("measured", loads.measured);
  }

  const Page& page_;
  Markup& out_;
  std::size_t index_;
  const LayerExplanation& layer_;
  const LayerReport& report_;
};

}  // namespace

Markup layer_details(const Page& page, std::size_t layer) {
  Markup out;
  LayerDetails(page, layer, out).run();
  return out;
}

void write_details(Page& page) {
  if (page.report.layers.empty()) return;
  Markup& out = page.out;
  open_section(out, "details", "Layer by layer",
               "What was seen in each weight, how it is stored, what runs it, and what else was considered.");
  for (const Markup& layer : page.details) out.add(layer);
  write_left_out(out, page.report.layers.size(), page.details.size(), "details");
  out.close();
}

}  // namespace cross::report
