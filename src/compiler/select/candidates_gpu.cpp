#include "compiler/select/candidates_gpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace cross::compiler {
namespace {

/// Shapes whose prices are this close are both measured.
constexpr double close_call = 1.5;

std::string reason_against(const GpuCandidateInputs& in, Format format) {
  if (!in.gpu.max_tokens.contains(format)) return "this GPU has no kernel for it";
  return gpu_format_refuses(in.weight, in.dtype, format);
}

/// Prices a format for all token counts; marks it dropped if some count cannot be priced.
void price(const GpuCandidateInputs& in, Format format, LayoutCandidate& candidate) {
  for (const std::int64_t tokens : in.tokens) {
    std::vector<PricedShape> shapes;
    for (const char* shape : {"decode", "prefill", "expand"})
      if (const auto us = gpu_shape_us(in, format, shape, tokens)) shapes.push_back({shape, *us, {}});
    if (shapes.empty()) {
      candidate.dropped = fmt::format("the profile has no price for it at {} tokens", tokens);
      return;
    }
    std::stable_sort(shapes.begin(), shapes.end(),
                     [](const auto& a, const auto& b) { return a.predicted_us < b.predicted_us; });
    const bool close = shapes.size() > 1 && shapes[1].predicted_us < close_call * shapes[0].predicted_us;
    candidate.close_shapes.push_back(close ? std::optional(shapes[1]) : std::nullopt);
    candidate.shapes.push_back(shapes[0]);
  }
}

}  // namespace

GpuWorth gpu_worth(const MatrixView& weight, DType dtype, Format format, int threads) {
  if (format == Format::block_tiles) {
    // Its prices are those of full blocks.
    const double blocks = block_tiles_density(weight, dtype, threads);
    if (blocks <= block_tiles_most) return {blocks, {}};
    return {blocks, fmt::format("{:.0f} % of its blocks of 64x64 keep something: it pays up to {:.0f} %",
                                100 * blocks, 100 * block_tiles_most)};
  }
  if (format == Format::two_four_overflow) {
    // Its prices are by what is not 2:4.
    const double overhead = two_four_overflow_overhead(weight, dtype, threads);
    if (overhead > two_four_overflow_most)
      return {overhead, fmt::format("what is not 2:4 takes {:.0f} % further stages: it pays up to {:.0f} %",
                                    100 * overhead, 100 * two_four_overflow_most)};
    const bool is_two_four = gpu_format_refuses(weight, dtype, Format::two_four).empty();
    return {overhead, is_two_four ? "two_four holds the matrix" : ""};
  }
  if (format == Format::column_vectors) {
    const double columns = column_vectors_density(weight, dtype, threads);
    if (columns <= column_vectors_most) return {columns, {}};
    return {columns, fmt::format("{:.0f} % of its columns of 16 rows keep something: it pays up to {:.0f} %",
                                 100 * columns, 100 * column_vectors_most)};
  }
  if (format == Format::row_lists) {
    const double entries = row_lists_density(weight, threads);
    if (entries <= row_lists_most) return {entries, {}};
    return {entries,
            fmt::format("its lists have entries for {:.0f} % of all positions: it pays up to {:.0f} %",
                        100 * entries, 100 * row_lists_most)};
  }
  return {};
}

std::optional<double> gpu_shape_us(const GpuCandidateInputs& in, Format format, std::string_view shape,
                                   std::int64_t tokens) {
  const std::int64_t rows = in.weight.rows, cols = in.weight.cols;
  const auto us = [&](const std::string& kernel, double density, std::int64_t count) {
    return in.profile.time_us(kernel, in.dtype == DType::fp32 ? "fp32" : "mma", density, count, rows, cols);
  };
  const std::string name = fmt::format("{}.{}", name_of(format), shape);
  if (shape == "decode") {
    const auto most = in.gpu.max_tokens.find(format);
    if (most == in.gpu.max_tokens.end()) return std::nullopt;
    if (tokens <= most->second) return us(name, in.density, tokens);
    // A format without expansion runs more tokens in slices.
    const auto slice = us(name, in.density, most->second);
    if (!slice || us(fmt::format("{}.expand", name_of(format)), in.density, 1)) return std::nullopt;
    return *slice * std::ceil(static_cast<double>(tokens) / static_cast<double>(most->second));
  }
  if (shape == "prefill") return us(name, in.density, tokens);
  const auto expanding = us(name, in.density, 1), dense = us("dense.cublaslt", 1.0, tokens);
  if (!expanding || !dense) return std::nullopt;
  return *expanding + *dense;
}

CandidateSet enumerate_gpu_candidates(const GpuCandidateInputs& in) {
  CandidateSet set;
  for (const Format format : gpu_formats) {
    if (in.only != "auto" && in.only != name_of(format)) continue;
    LayoutCandidate candidate;
    candidate.name = std::string(name_of(format));
    Panel panel{0, static_cast<int>(in.weight.rows), {}};
    panel.segments.push_back({format, 0, in.weight.cols, 0, 0, 0, 0});
    candidate.layout.panels.push_back(std::move(panel));
    candidate.dropped = reason_against(in, format);
    GpuCandidateInputs priced = in;
    if (candidate.dropped.empty()) {
      GpuWorth worth = gpu_worth(in.weight, in.dtype, format, in.threads);
      priced.density = worth.density.value_or(in.density);
      if (in.only == "auto") candidate.dropped = std::move(worth.never_pays);
    }
    if (candidate.dropped.empty()) price(priced, format, candidate);
    set.candidates.push_back(std::move(candidate));
  }
  return set;
}

}  // namespace cross::compiler
