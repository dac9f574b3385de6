// What the sections of a page are made of.
#include <fmt/format.h>

#include <algorithm>

#include "base/quantities.h"
#include "report/heat_map.h"
#include "report/sections.h"

namespace cross::report {

void write_name(Markup& out, const std::string& whole) {
  constexpr std::size_t longest = 200;
  const std::string name = whole.size() > longest ? whole.substr(0, longest) + "…" : whole;
  out.open("bdi", {{"class", "name"}});
  for (std::size_t begin = 0; begin < name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size() - 1) + 1;
    out.text(std::string_view(name).substr(begin, end - begin));
    if (end < name.size()) out.element("wbr");
    begin = end;
  }
  out.close();
}

void open_section(Markup& out, const std::string& id, const std::string& heading, const std::string& note) {
  out.open("section", {{"aria-labelledby", id}});
  out.element("h2", {{"id", id}}, heading);
  if (!note.empty()) out.element("p", {{"class", "note"}}, note);
}

void open_table(Markup& out, const std::string& kind, const std::string& caption) {
  out.open("div", {{"class", "scroll"}, {"role", "region"}, {"aria-label", caption}, {"tabindex", "0"}});
  out.open("table", {{"class", kind}});
  out.element("caption", {}, caption);
}

void close_table(Markup& out) { out.close().close(); }

void write_headings(Markup& out, const std::vector<std::string>& headings) {
  out.inside("thead", {}, [&] {
    out.inside("tr", {}, [&] {
      for (const std::string& heading : headings) {
        const bool number = heading.starts_with('#');
        Attributes attributes = {{"scope", "col"}};
        if (number) attributes.emplace_back("class", "n");
        out.element("th", attributes, std::string_view(heading).substr(number ? 1 : 0));
      }
    });
  });
}

void write_number(Markup& out, const std::string& text, double value) {
  out.element("td", {{"class", "n"}, {"data-v", fmt::format("{:.6g}", value)}}, text);
}

void write_bar(Markup& out, double share, const std::string& color) {
  const double shown = std::clamp(share, 0.0, 1.0);
  out.element("span",
              {{"class", "bar"}, {"style", fmt::format("width:{:.1f}%;background:{}", 100 * shown, color)}});
}

void write_stacked_bar(Markup& out, const std::vector<BarPart>& parts, double whole) {
  out.inside("div", {{"class", "stack"}}, [&] {
    for (const BarPart& part : parts)
      if (part.value > 0 && whole > 0)
        out.element(
            "span",
            {{"style", fmt::format("width:{:.2f}%;background:{}", 100 * part.value / whole, part.color)},
             {"title", part.label}});
  });
}

void write_legend(Markup& out, const std::vector<BarPart>& parts) {
  out.inside("ul", {{"class", "legend"}}, [&] {
    for (const BarPart& part : parts)
      out.inside("li", {}, [&] {
        out.element("span", {{"class", "key"}, {"style", "background:" + part.color}});
        out.text(part.label);
      });
  });
}

void write_left_out(Markup& out, std::size_t layers, std::size_t written, const std::string& what) {
  if (written >= layers) return;
  out.element(
      "p", {{"class", "note"}},
      fmt::format(
          "The {} of the last {} layers are left out, so that the file stays below {}. `cross explain "
          "PLAN` shows all.",
          what, layers - written, base::bytes_text(most_report_bytes)));
}

void write_map_definitions(Page& page) {
  Markup& out = page.out;
  const auto define = [&](const DensityGrid& grid, const std::string& id) {
    if (grid.density.empty()) return;
    out.element("image", {{"id", id},
                          {"width", fmt::format("{}", grid.cols)},
                          {"height", fmt::format("{}", grid.rows)},
                          {"preserveAspectRatio", "none"},
                          {"href", png_data_uri(heat_image(grid, page.heat_scale), heat_colors)}});
  };
  out.inside("svg", {{"class", "definitions"}, {"width", "0"}, {"height", "0"}, {"aria-hidden", "true"}},
             [&] {
               out.inside("defs", {}, [&] {
                 for (std::size_t i = 0; i < page.shown; ++i) {
                   define(page.report.layers[i].as_stored, map_id(i, false));
                   define(page.report.layers[i].as_packed, map_id(i, true));
                 }
               });
             });
}

std::string map_id(std::size_t layer, bool packed) { return fmt::format("{}{}", packed ? "p" : "m", layer); }

void write_map(Markup& out, const DensityGrid& grid, const std::string& id, const std::string& label) {
  out.inside("svg",
             {{"class", "map"},
              {"viewBox", fmt::format("0 0 {} {}", grid.cols, grid.rows)},
              {"role", "img"},
              {"aria-label", label}},
             [&] {
               out.element("use", {{"href", "#" + id}});
             });
}

}  // namespace cross::report
