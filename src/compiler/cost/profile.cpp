#include "cross/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/atomic_file.h"
#include "base/strict_json.h"
#include "cross/error.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace cross {
namespace {

using nlohmann::json;

/// Linear between points on the running maximum of their prices.
double at_density(const std::vector<PricePoint>& points, double density) {
  double previous_density = points.front().density;
  double previous = points.front().ns_per_element;
  if (density <= previous_density) return previous;
  for (const PricePoint& point : points) {
    const double price = std::max(previous, point.ns_per_element);
    if (density <= point.density) {
      const double span = point.density - previous_density;
      const double share = span > 0 ? (density - previous_density) / span : 1.0;
      return previous + share * (price - previous);
    }
    previous = price;
    previous_density = point.density;
  }
  // Past the last point the work goes on growing with the kept values.
  return previous * density / previous_density;
}

double number(const json& value, const std::string& where) {
  if (!value.is_number() || !std::isfinite(value.get<double>()) || value.get<double>() < 0)
    throw InputError(fmt::format("{} must be a number that is not negative", where));
  return value.get<double>();
}

const json& field(const json& object, const char* name, const std::string& where) {
  if (!object.is_object() || !object.contains(name))
    throw InputError(fmt::format("{}: \"{}\" is missing", where, name));
  return object.at(name);
}

std::string text_field(const json& object, const char* name, const std::string& where) {
  const json& value = field(object, name, where);
  if (!value.is_string()) throw InputError(fmt::format("{}: \"{}\" must be a string", where, name));
  return value.get<std::string>();
}

int int_field(const json& object, const char* name, const std::string& where) {
  const double value = number(field(object, name, where), fmt::format("{}: \"{}\"", where, name));
  if (value > 1e9 || value != std::floor(value))
    throw InputError(fmt::format("{}: \"{}\" is no count", where, name));
  return static_cast<int>(value);
}

/// The fields of UnitPrices by name, and the least that each may be.
struct UnitField {
  const char* name;
  double UnitPrices::*value;
  double least;
};
constexpr UnitField unit_fields[] = {
    {"tensor_half", &UnitPrices::tensor_half, 0},       {"gather_weight", &UnitPrices::gather_weight, 0},
    {"gather_chunk", &UnitPrices::gather_chunk, 0},     {"piece", &UnitPrices::piece, 0},
    {"dense_slowdown", &UnitPrices::dense_slowdown, 1}, {"sparse_slowdown", &UnitPrices::sparse_slowdown, 1}};

UnitPrices parse_units(const json& object, const std::string& where) {
  UnitPrices units;
  for (const UnitField& one : unit_fields) {
    const std::string name = fmt::format("{}: \"{}\"", where, one.name);
    units.*one.value = number(field(object, one.name, where), name);
    if (units.*one.value < one.least)
      throw InputError(fmt::format("{} is {}, must be at least {}", name, units.*one.value, one.least));
  }
  return units;
}

}  // namespace

std::string ProfileKey::text() const {
  return fmt::format("{} {}, {}, {} {}, kernel table {}, {}", device, name, isa, threads,
                     device == "cuda" ? "SMs" : "threads", kernel_table, libraries);
}

std::string ProfileKey::file_name() const {
  const std::string all = text();
  return fmt::format("{}-{}-{}-{:08x}.json", device, isa, threads,
                     static_cast<std::uint32_t>(XXH3_64bits(all.data(), all.size())));
}

namespace {

/// The curves of a kernel, measured on one size, around a token count.
struct Neighbours {
  const PriceCurve* below = nullptr;
  const PriceCurve* above = nullptr;
};

bool is_of(const PriceCurve& curve, std::string_view kernel, std::string_view arithmetic) {
  return curve.kernel == kernel && curve.arithmetic == arithmetic && !curve.points.empty();
}

Neighbours neighbours(const std::vector<PriceCurve>& curves, std::string_view kernel,
                      std::string_view arithmetic, std::int64_t tokens, std::int64_t rows,
                      std::int64_t cols) {
  Neighbours found;
  for (const PriceCurve& curve : curves) {
    if (!is_of(curve, kernel, arithmetic) || curve.rows != rows || curve.cols != cols) continue;
    if (curve.tokens <= tokens && (found.below == nullptr || curve.tokens > found.below->tokens))
      found.below = &curve;
    if (curve.tokens >= tokens && (found.above == nullptr || curve.tokens < found.above->tokens))
      found.above = &curve;
  }
  return found;
}

/// ns per element on one measured size (0 x 0: on none in particular).
std::optional<double> price_on(const std::vector<PriceCurve>& curves, std::string_view kernel,
                               std::string_view arithmetic, double density, std::int64_t tokens,
                               std::int64_t rows, std::int64_t cols) {
  const Neighbours n = neighbours(curves, kernel, arithmetic, tokens, rows, cols);
  const auto price = [&](const PriceCurve& curve) { return at_density(curve.points, density); };
  if (n.below == nullptr && n.above == nullptr) return std::nullopt;
  if (n.above == nullptr)
    return price(*n.below) * static_cast<double>(tokens) / static_cast<double>(n.below->tokens);
  if (n.below == nullptr || n.below == n.above) return price(*n.above);
  const double share =
      static_cast<double>(tokens - n.below->tokens) / static_cast<double>(n.above->tokens - n.below->tokens);
  const double low = price(*n.below);
  return low + share * (price(*n.above) - low);
}

/// Two neighbouring measured extents and where `extent` lies between them; beyond the last, share > 1.
struct Between {
  std::int64_t low = 0, high = 0;
  double share = 0;
};

Between between(const std::set<std::int64_t>& extents, std::int64_t extent) {
  if (extents.size() == 1 || extent <= *extents.begin()) return {*extents.begin(), *extents.begin(), 0};
  auto high = extents.lower_bound(extent);
  if (high == extents.end()) --high;
  const std::int64_t low = *std::prev(high);
  return {low, *high, static_cast<double>(extent - low) / static_cast<double>(*high - low)};
}

}  // namespace

std::optional<double> CostProfile::price(std::string_view kernel, std::string_view arithmetic, double density,
                                         std::int64_t tokens) const {
  return price_on(curves, kernel, arithmetic, density, tokens, 0, 0);
}

std::optional<double> CostProfile::time_us(std::string_view kernel, std::string_view arithmetic,
                                           double density, std::int64_t tokens, std::int64_t rows,
                                           std::int64_t cols) const {
  std::set<std::int64_t> row_counts, col_counts;
  for (const PriceCurve& curve : curves)
    if (is_of(curve, kernel, arithmetic) && curve.rows > 0) {
      row_counts.insert(curve.rows);
      col_counts.insert(curve.cols);
    }
  if (row_counts.empty()) {
    const auto each = price(kernel, arithmetic, density, tokens);
    if (!each) return std::nullopt;
    return *each * static_cast<double>(rows) * static_cast<double>(cols) / 1000;
  }
  const Between r = between(row_counts, rows), c = between(col_counts, cols);
  double sum = 0, least = std::numeric_limits<double>::infinity();
  for (const auto& [row, row_share] : {std::pair{r.low, 1 - r.share}, std::pair{r.high, r.share}})
    for (const auto& [col, col_share] : {std::pair{c.low, 1 - c.share}, std::pair{c.high, c.share}}) {
      const double weight = row_share * col_share;
      if (weight == 0) continue;
      const auto each = price_on(curves, kernel, arithmetic, density, tokens, row, col);
      if (!each) return std::nullopt;
      const double us = *each * static_cast<double>(row) * static_cast<double>(col) / 1000;
      sum += weight * us;
      least = std::min(least, us);
    }
  // Noise must not extrapolate to less than what was measured.
  return std::max(sum, least);
}

double CostProfile::noise() const {
  std::vector<double> spreads;
  for (const PriceCurve& curve : curves)
    for (const PricePoint& point : curve.points) spreads.push_back(point.spread);
  if (spreads.empty()) return 0;
  const auto middle = spreads.begin() + static_cast<std::ptrdiff_t>(spreads.size() / 2);
  std::nth_element(spreads.begin(), middle, spreads.end());
  return *middle;
}

CostProfile CostProfile::load(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream)
    throw UsageError(fmt::format("{}: no such profile; `cross calibrate` makes one", path.string()));
  std::ostringstream text;
  text << stream.rdbuf();
  return parse(text.str(), path.string());
}

CostProfile CostProfile::parse(std::string_view text, const std::string& name) {
  const json root = base::parse_strict_json(text, name);
  CostProfile profile;
  if (int_field(root, "cross_profile", name) != 1)
    throw InputError(name + ": is a profile of another version");
  const json& key = field(root, "key", name);
  profile.key = {text_field(key, "device", name),      text_field(key, "name", name),
                 text_field(key, "isa", name),         int_field(key, "threads", name),
                 int_field(key, "kernel_table", name), text_field(key, "libraries", name)};
  profile.source = text_field(root, "source", name);
  const json& curves = field(root, "curves", name);
  if (!curves.is_array()) throw InputError(name + ": \"curves\" must be an array");
  for (const json& entry : curves) {
    PriceCurve curve{text_field(entry, "kernel", name),
                     text_field(entry, "arithmetic", name),
                     int_field(entry, "tokens", name),
                     0,
                     0,
                     {}};
    if (entry.contains("rows") || entry.contains("cols")) {
      curve.rows = int_field(entry, "rows", name);
      curve.cols = int_field(entry, "cols", name);
      if (curve.rows < 1 || curve.cols < 1)
        throw InputError(fmt::format("{}: \"rows\" and \"cols\" must be at least 1", name));
    }
    const std::string where =
        fmt::format("{}: curve {} {} at {} tokens", name, curve.kernel, curve.arithmetic, curve.tokens);
    const json& points = field(entry, "points", where);
    if (!points.is_array()) throw InputError(where + ": \"points\" must be an array");
    for (const json& point : points) {
      if (!point.is_array() || point.size() != 3)
        throw InputError(where + ": a point must be [density, ns, spread]");
      curve.points.push_back({number(point[0], where), number(point[1], where), number(point[2], where)});
      const std::size_t n = curve.points.size();
      if (n > 1 && curve.points[n - 1].density <= curve.points[n - 2].density)
        throw InputError(where + ": densities must ascend");
    }
    if (curve.points.empty() || curve.tokens < 1) throw InputError(where + ": has no points or no tokens");
    profile.curves.push_back(std::move(curve));
  }
  if (root.contains("units")) profile.units = parse_units(root.at("units"), name + ": units");
  return profile;
}

void CostProfile::save(const std::filesystem::path& path) const {
  json curves_json = json::array();
  for (const PriceCurve& curve : curves) {
    json points = json::array();
    const auto short_number = [](double value) { return std::round(value * 1e9) / 1e9; };
    for (const PricePoint& p : curve.points)
      points.push_back({p.density, short_number(p.ns_per_element), short_number(p.spread)});
    json entry = {{"kernel", curve.kernel},
                  {"arithmetic", curve.arithmetic},
                  {"tokens", curve.tokens},
                  {"points", points}};
    if (curve.rows > 0) {
      entry["rows"] = curve.rows;
      entry["cols"] = curve.cols;
    }
    curves_json.push_back(std::move(entry));
  }
  json root = {{"cross_profile", 1},
               {"key",
                {{"device", key.device},
                 {"name", key.name},
                 {"isa", key.isa},
                 {"threads", key.threads},
                 {"kernel_table", key.kernel_table},
                 {"libraries", key.libraries}}},
               {"source", source},
               {"unit", "ns of wall time per element of W, all threads busy, weights from memory"},
               {"curves", curves_json}};
  if (units)
    for (const UnitField& one : unit_fields) root["units"][one.name] = *units.*one.value;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
  base::AtomicFile file(path);
  file.write(root.dump());
  file.commit();
}

std::filesystem::path profile_folder() {
  const auto variable = [](const char* name) -> std::filesystem::path {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
  };
  if (const auto folder = variable("CROSS_PROFILE_DIR"); !folder.empty()) return folder;
  if (const auto cache = variable("XDG_CACHE_HOME"); !cache.empty()) return cache / "cross" / "profiles";
  const auto home = variable("HOME");
  return (home.empty() ? std::filesystem::path("/tmp") : home) / ".cache" / "cross" / "profiles";
}

}  // namespace cross
