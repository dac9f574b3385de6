#include "report/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/heat_map.h"
#include "report/sections.h"
#include "report/style.h"
#include "report/theme.h"

namespace cross::report {
namespace {

/// Layers beyond this stand nowhere but in sums: table and pictures take about 2 kB each.
constexpr std::size_t most_layers = 1000;
/// Of all details together. Heat maps are bounded by make_report, at 2 MB.
constexpr std::size_t most_detail_bytes = std::size_t{3} << 20;

/// A colour for each format, in the order in which layers use them.
std::map<std::string, std::string> format_colors(const Report& report) {
  std::map<std::string, std::string> colors = {{"dense", "var(--s6)"}, {"empty", "var(--line)"}};
  std::size_t next = 0;
  for (const LayerExplanation& layer : report.plan.layers)
    for (const StoredCopy& copy : layer.copies)
      for (const FormatShare& share : copy.formats)
        if (colors.emplace(share.format, series_color(next)).second) ++next;
  return colors;
}

void write_head(Markup& out, const Report& report) {
  out.inside("head", {}, [&] {
    out.element("meta", {{"charset", "utf-8"}});
    // Nothing is loaded and no script but ours runs, whatever a name in the plan holds.
    out.element("meta",
                {{"http-equiv", "Content-Security-Policy"},
                 {"content", fmt::format("default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
                                         "script-src '{}'; base-uri 'none'; form-action 'none'",
                                         page_script_hash)}});
    out.element("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
    out.element("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
    out.element("title", {}, "CROSS report: " + report.plan.source.substr(0, 100));
    out.verbatim("style", theme_css(":root") + std::string(chart_css()) + page_css);
  });
}

}  // namespace

void write_footer(Page& page) {
  const PlanExplanation& plan = page.report.plan;
  Markup& out = page.out;
  out.inside("footer", {}, [&] {
    out.inside("p", {}, [&] {
      out.text("Made by ");
      out.element("bdi", {}, plan.compiled_by);
      out.text(" for ");
      out.element("bdi", {}, plan.compiled_on);
      out.text(". Prices ");
      out.element("bdi", {}, plan.profile_source);
      out.text(": ");
      out.element("bdi", {}, plan.profile);
      out.text(".");
    });
    if (page.report.evidence.layers)
      out.inside("p", {}, [&] {
        out.text("Layers measured for this report on ");
        out.element("bdi", {}, page.report.evidence.layers->device);
        out.text(".");
      });
    out.element("p", {},
                "Sparsity is the share of zeros. Times are medians, weights from memory on both sides. "
                "Figures hold for "
                "the machine they were measured on.");
  });
}

std::string page_of(const Report& report) {
  Markup out;
  Page page{
      report, heat_scale(report), format_colors(report), std::min(report.layers.size(), most_layers), {},
      out};
  for (std::size_t bytes = 0; page.details.size() < page.shown;) {
    Markup details = layer_details(page, page.details.size());
    bytes += details.size();
    if (bytes > most_detail_bytes) break;
    page.details.push_back(std::move(details));
  }
  out.inside("html", {{"lang", "en"}, {"xmlns", "http://www.w3.org/1999/xhtml"}}, [&] {
    write_head(out, report);
    out.inside("body", {}, [&] {
      write_map_definitions(page);
      out.inside("main", {}, [&] {
        write_glance(page);
        write_whole_model(page);
        write_quality(page);
        write_layer_table(page);
        write_heat_maps(page);
        write_storage(page);
        write_predictions(page);
        write_balance(page);
        write_details(page);
        write_footer(page);
      });
      out.verbatim("script", page_script);
    });
  });
  return "<!DOCTYPE html>\n" + out.str() + "\n";
}

}  // namespace cross::report

namespace cross {

std::string report_html(const Report& report) { return report::page_of(report); }

}  // namespace cross
