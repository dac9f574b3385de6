#include "iid_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cross_bench {
namespace {

using cross::DType;

/// The shapes that most targets are averaged over, and those whose weights exceed the caches.
const std::vector<Shape> mixed_shapes = {{768, 768}, {3072, 768}, {768, 3072}, {4096, 4096}};
const std::vector<Shape> large_shapes = {{4096, 4096}, {11008, 4096}};

/// A compiled plan falls back to dense, so it never loses more than measuring noise.
constexpr double floor_of_all = 0.97;

struct TargetRow {
  DType dtype;
  std::vector<std::int64_t> tokens;
  const std::vector<Shape>& shapes;
  std::vector<double> speedups;  ///< at target_sparsities
};

const std::vector<double> target_sparsities = {0.5, 0.6, 0.7, 0.8, 0.9, 0.95};

const std::vector<TargetRow> target_rows = {
    {DType::fp32, {128, 512}, mixed_shapes, {1.3, 1.6, 2.1, 3.0, 5.5, 9.0}},
    {DType::fp32, {32}, mixed_shapes, {1.0, 1.2, 1.6, 2.4, 4.5, 8.0}},
    {DType::bf16, {128, 512}, mixed_shapes, {0.97, 1.0, 1.2, 1.7, 3.0, 5.0}},
    {DType::bf16, {8, 32}, large_shapes, {1.2, 1.4, 1.7, 2.2, 3.2, 4.5}},
    {DType::bf16, {1}, large_shapes, {1.65, 1.9, 2.4, 3.2, 4.5, 6.0}},
};

bool contains(const auto& list, const auto& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

/// Distinct values of a field, in the order of the measurements.
template <class Field>
auto distinct(const std::vector<Measurement>& measurements, Field field) {
  std::vector<std::decay_t<decltype(field(measurements.front()))>> values;
  for (const Measurement& m : measurements)
    if (!contains(values, field(m))) values.push_back(field(m));
  return values;
}

const Measurement* find(const std::vector<Measurement>& measurements, const Shape& shape, double sparsity) {
  for (const Measurement& m : measurements)
    if (m.shape == shape && m.asked_sparsity == sparsity) return &m;
  return nullptr;
}

/// Geometric mean over `shapes`; nullopt if one of them was not measured.
std::optional<double> mean_speedup(const std::vector<Measurement>& measurements,
                                   const std::vector<Shape>& shapes, double sparsity) {
  double logs = 0;
  for (const Shape& shape : shapes) {
    const Measurement* m = find(measurements, shape, sparsity);
    if (m == nullptr || m->row.speedup <= 0) return std::nullopt;
    logs += std::log(m->row.speedup);
  }
  return std::exp(logs / static_cast<double>(shapes.size()));
}

/// One line of a table: a label and one cell per sparsity.
template <class Cell>
std::string line(const std::string& label, const std::vector<double>& sparsities, Cell cell) {
  std::string text = fmt::format("  {:<22}", label);
  for (const double sparsity : sparsities) text += fmt::format("{:>8}", cell(sparsity));
  return text + "\n";
}

/// All measurements of one dtype and token count.
std::string table(DType dtype, std::int64_t tokens, const std::vector<Measurement>& rows) {
  auto sparsities = distinct(rows, [](const Measurement& m) { return m.asked_sparsity; });
  std::sort(sparsities.begin(), sparsities.end());
  const auto number = [](std::optional<double> value) { return value ? fmt::format("{:.2f}", *value) : "-"; };
  const auto label_of = [](const std::vector<Shape>& shapes) {
    return shapes == mixed_shapes ? "mean of the first four" : "mean of the large two";
  };
  std::string text =
      fmt::format("\n{}, {} tokens: speed-up over the best dense library\n", name_of(dtype), tokens);
  text += line("shape \\ sparsity", sparsities, [](double s) { return fmt::format("{:.0f} %", s * 100); });
  for (const Shape& shape : distinct(rows, [](const Measurement& m) { return m.shape; }))
    text += line(text_of(shape), sparsities, [&](double s) -> std::string {
      const Measurement* m = find(rows, shape, s);
      return m == nullptr ? "-" : number(m->row.speedup);
    });
  for (const auto* shapes : {&mixed_shapes, &large_shapes})
    if (std::any_of(sparsities.begin(), sparsities.end(),
                    [&](double s) { return mean_speedup(rows, *shapes, s).has_value(); }))
      text += line(label_of(*shapes), sparsities,
                   [&](double s) { return number(mean_speedup(rows, *shapes, s)); });
  std::string of;
  const auto goal = [&](double s) {
    const auto target = target_for(dtype, tokens, s);
    if (target) of = label_of(target->shapes);
    return target;
  };
  for (const double s : sparsities) goal(s);
  if (of.empty()) return text;
  text += line("target", sparsities, [&](double s) -> std::string {
    const auto target = goal(s);
    return target ? number(target->speedup) : "-";
  });
  text += line("met", sparsities, [&](double s) -> std::string {
    const auto target = goal(s);
    const auto mean = target ? mean_speedup(rows, target->shapes, s) : std::nullopt;
    return !mean ? "-" : *mean >= target->speedup ? "yes" : "NO";
  });
  return text + fmt::format("  (targets are for the {})\n", of);
}

}  // namespace

std::string text_of(const Shape& shape) { return fmt::format("{}x{}", shape.rows, shape.cols); }

std::optional<Target> target_for(DType dtype, std::int64_t tokens, double sparsity) {
  for (const TargetRow& row : target_rows) {
    if (row.dtype != dtype || !contains(row.tokens, tokens)) continue;
    for (std::size_t i = 0; i < target_sparsities.size(); ++i)
      if (std::abs(target_sparsities[i] - sparsity) < 1e-9) return Target{row.speedups[i], row.shapes};
  }
  return std::nullopt;
}

std::string report(const std::vector<Measurement>& measurements) {
  std::string text;
  for (const DType dtype : distinct(measurements, [](const Measurement& m) { return m.dtype; }))
    for (const std::int64_t tokens :
         distinct(measurements, [](const Measurement& m) { return m.row.tokens; })) {
      std::vector<Measurement> rows;
      std::copy_if(measurements.begin(), measurements.end(), std::back_inserter(rows),
                   [&](const Measurement& m) { return m.dtype == dtype && m.row.tokens == tokens; });
      if (!rows.empty()) text += table(dtype, tokens, rows);
    }
  std::string slow;
  for (const Measurement& m : measurements)
    if (m.row.speedup < floor_of_all)
      slow += fmt::format("  {} {} at {:.0f} %, {} tokens: {:.3f} ({})\n", name_of(m.dtype), text_of(m.shape),
                          m.asked_sparsity * 100, m.row.tokens, m.row.speedup, m.row.kernel);
  text += slow.empty() ? fmt::format("\nNothing is slower than {:.2f} of dense.\n", floor_of_all)
                       : fmt::format("\nSlower than {:.2f} of dense:\n{}", floor_of_all, slow);
  return text;
}

}  // namespace cross_bench
