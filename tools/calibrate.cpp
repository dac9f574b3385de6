// cross calibrate: measures every kernel of this machine and stores the prices.
#include "cross/calibrate.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>

#include "base/quote.h"
#include "commands.h"
#include "console.h"
#include "cross/error.h"
#include "files.h"
#include "options.h"
#include "progress.h"
#include "table.h"

namespace cross::cli {
namespace {

using json = nlohmann::ordered_json;

struct Options {
  CommonOptions common;
  std::string output, device = "cpu";
  CalibrateOptions calibrate;
};

bool is_dense(const PriceCurve& curve) { return curve.kernel.starts_with("dense."); }

/// Runs whose price is a part of another's: no alternative to dense by themselves.
bool is_part(const PriceCurve& curve) { return curve.kernel.ends_with(".expand"); }

/// The size that a curve was measured on; prices of CPUs hold for any.
struct Extent {
  std::int64_t rows, cols;
};
Extent extent_of(const PriceCurve& curve) {
  constexpr std::int64_t any = 1024;
  return curve.rows > 0 ? Extent{curve.rows, curve.cols} : Extent{any, any};
}

/// Least time of the dense libraries for a curve's dtype, size and token count.
std::optional<double> dense_us(const CostProfile& profile, const PriceCurve& curve) {
  const auto [rows, cols] = extent_of(curve);
  std::optional<double> least;
  for (const PriceCurve& dense : profile.curves) {
    if (!is_dense(dense) || dense.tokens != curve.tokens) continue;
    if (!curve.arithmetic.starts_with(dense.arithmetic)) continue;
    const auto us = profile.time_us(dense.kernel, dense.arithmetic, 1.0, curve.tokens, rows, cols);
    if (us && (!least || *us < *least)) least = us;
  }
  return least;
}

/// From which sparsity on a kernel costs less than dense, in whole percent; nullopt: never.
std::optional<int> break_even(const CostProfile& profile, const PriceCurve& curve) {
  const auto dense = dense_us(profile, curve);
  if (!dense) return std::nullopt;
  const auto [rows, cols] = extent_of(curve);
  for (int sparsity = 0; sparsity < 100; ++sparsity) {
    const auto us =
        profile.time_us(curve.kernel, curve.arithmetic, 1 - sparsity / 100.0, curve.tokens, rows, cols);
    if (us && *us < *dense) return sparsity;
  }
  return std::nullopt;
}

std::string report_text(const CostProfile& profile, const std::string& path, double seconds) {
  std::set<std::int64_t> tokens;
  for (const PriceCurve& curve : profile.curves)
    if (!is_dense(curve) && !is_part(curve)) tokens.insert(curve.tokens);
  std::vector<std::string> headings = {"cheaper than dense from", "<arithmetic", "size"};
  for (const std::int64_t count : tokens) headings.push_back(fmt::format("{} tok", count));
  Table table(headings);
  std::set<std::tuple<std::string, std::string, std::int64_t, std::int64_t>> seen;
  for (const PriceCurve& row : profile.curves) {
    if (is_dense(row) || is_part(row) || !seen.emplace(row.kernel, row.arithmetic, row.rows, row.cols).second)
      continue;
    std::vector<std::string> cells = {row.kernel, row.arithmetic,
                                      row.rows > 0 ? fmt::format("{}x{}", row.rows, row.cols) : "any"};
    for (const std::int64_t count : tokens) {
      const auto curve = std::find_if(profile.curves.begin(), profile.curves.end(), [&](const PriceCurve& c) {
        return c.kernel == row.kernel && c.arithmetic == row.arithmetic && c.tokens == count &&
               c.rows == row.rows && c.cols == row.cols;
      });
      if (curve == profile.curves.end()) {
        cells.emplace_back("");
        continue;
      }
      const auto sparsity = break_even(profile, *curve);
      cells.push_back(sparsity ? fmt::format("{} %", *sparsity) : "never");
    }
    table.add(std::move(cells));
  }
  return table.text() + fmt::format("\n{}\nmeasured in {:.0f} s, median spread {:.1f} %; stored in {}\n",
                                    base::printable(profile.key.text()), seconds, 100 * profile.noise(),
                                    base::printable(path));
}

json report_json(const CostProfile& profile, const std::string& path, double seconds) {
  json curves = json::array();
  for (const PriceCurve& curve : profile.curves) {
    json points = json::array();
    for (const PricePoint& point : curve.points)
      points.push_back(
          {{"density", point.density}, {"ns_per_element", point.ns_per_element}, {"spread", point.spread}});
    json entry = {{"kernel", curve.kernel},
                  {"arithmetic", curve.arithmetic},
                  {"tokens", curve.tokens},
                  {"points", points}};
    if (curve.rows > 0) {
      entry["rows"] = curve.rows;
      entry["cols"] = curve.cols;
    }
    if (!is_dense(curve) && !is_part(curve)) {
      const auto sparsity = break_even(profile, curve);
      entry["cheaper_than_dense_from"] = sparsity ? json(*sparsity / 100.0) : json(nullptr);
    }
    curves.push_back(std::move(entry));
  }
  return {{"profile", path},
          {"device", profile.key.device},
          {"cpu", profile.key.name},
          {"isa", profile.key.isa},
          {"threads", profile.key.threads},
          {"libraries", profile.key.libraries},
          {"noise", profile.noise()},
          {"seconds", seconds},
          {"curves", curves}};
}

void run(const Options& options) {
  check_device(options.device);
  if (!options.output.empty()) check_output(options.output, {});
  const auto start = std::chrono::steady_clock::now();
  CostProfile profile;
  {
    Progress progress("calibrate", options.common.quiet);
    CalibrateOptions calibrate_options = options.calibrate;
    calibrate_options.device = options.device;
    calibrate_options.on_step = [&](std::size_t done, std::size_t total, std::string_view kernel) {
      progress.step(done, total, kernel);
    };
    profile = calibrate(calibrate_options);
  }
  std::filesystem::path path = options.output;
  if (path.empty()) {
    std::error_code error;
    std::filesystem::create_directories(profile_folder(), error);
    if (error)
      throw InputError(fmt::format("{}: cannot make the folder of profiles: {}", profile_folder().string(),
                                   error.message()));
    path = profile_folder() / profile.key.file_name();
  }
  profile.save(path);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.common.json)
    print_json(report_json(profile, path.string(), seconds));
  else
    print(report_text(profile, path.string(), seconds));
}

}  // namespace

void add_calibrate(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "calibrate",
      "measure every kernel of this machine, for `compile` to decide with; takes a minute or two");
  add_device(*command, options->device);
  add_threads(*command, options->calibrate.threads);
  command->add_flag("--quick", options->calibrate.quick, "few points: for a first look, not for decisions");
  command->add_option("-o,--output", options->output, "profile to write instead of this machine's stored one")
      ->type_name("FILE");
  add_common(*command, options->common, "cross calibrate --threads 2");
  command->callback([options] { run(*options); });
}

}  // namespace cross::cli
