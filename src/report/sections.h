// The sections of a report's page, from top to bottom. Each writes itself, or nothing where there is nothing
// to say.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "cross/report.h"
#include "report/markup.h"

namespace cross::report {

/// What sections share.
struct Page {
  const Report& report;
  double heat_scale = 1;                       ///< density of the lightest colour
  std::map<std::string, std::string> formats;  ///< colour of each storage format
  std::size_t shown = 0;                       ///< layers in the table and among the heat maps
  std::vector<Markup> details;                 ///< of the first layers, as far as they fit
  Markup& out;
};

/// Finished details of one layer.
Markup layer_details(const Page& page, std::size_t layer);

/// A sentence on what a report of so many layers leaves out; nothing if it leaves out none.
void write_left_out(Markup& out, std::size_t layers, std::size_t written, const std::string& what);

/// Name, and the few numbers that matter most.
void write_glance(Page& page);
/// The whole model, part by part, dense beside plan; of a decoder, prefill and decode apart.
void write_whole_model(Page& page);
/// What pruning cost.
void write_quality(Page& page);
/// All layers in one table: size, speed-up, kernel.
void write_layer_table(Page& page);
/// Heat maps of all layers.
void write_heat_maps(Page& page);
/// Bytes before and after, formats, bands.
void write_storage(Page& page);
/// Predicted against measured times.
void write_predictions(Page& page);
/// Worker loads before and after balance.
void write_balance(Page& page);
/// Everything about each layer.
void write_details(Page& page);
/// How this was made.
void write_footer(Page& page);

// What several of them need ------------------------------------------------------------------------------

/// A name from a file: breaks after dots, cannot turn the direction of the text around it, and is cut where
/// it is absurdly long.
void write_name(Markup& out, const std::string& name);
/// Opens <section> with a heading; `note` stands below it.
void open_section(Markup& out, const std::string& id, const std::string& heading, const std::string& note);
/// Opens a table that scrolls in itself where it is too wide; close both with close_table.
void open_table(Markup& out, const std::string& kind, const std::string& caption);
void close_table(Markup& out);
/// <thead> of one row; a heading that starts with '#' is over numbers.
void write_headings(Markup& out, const std::vector<std::string>& headings);
/// A cell of a number with what it sorts by.
void write_number(Markup& out, const std::string& text, double value);
/// A bar of `share` (0..1) of its cell, in a CSS colour.
void write_bar(Markup& out, double share, const std::string& color);
/// A bar cut into labelled parts, and its legend below.
struct BarPart {
  std::string label;
  double value = 0;
  std::string color;
};
void write_stacked_bar(Markup& out, const std::vector<BarPart>& parts, double whole);
void write_legend(Markup& out, const std::vector<BarPart>& parts);

/// Of the policy that the plan takes; 0 without a schedule.
double predicted_imbalance(const TokensDecision& at);

/// id of the heat map's picture in the page's <defs>.
std::string map_id(std::size_t layer, bool packed);
/// The pictures of all heat maps, once, for write_map to show any number of times.
void write_map_definitions(Page& page);
/// The picture by that id.
void write_map(Markup& out, const DensityGrid& grid, const std::string& id, const std::string& label);

}  // namespace cross::report
