#include "driver/similarity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace cross::driver {
namespace {

std::vector<double> ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> result(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first + 1;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    const double mean = 0.5 * static_cast<double>(first + end - 1);
    for (; first < end; ++first) result[order[first]] = mean;
  }
  return result;
}

}  // namespace

double cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  const double lengths = std::sqrt(aa * bb);
  return lengths > 0 ? ab / lengths : 0;
}

double least_cosine(std::span<const float> a, std::span<const float> b, std::int64_t size) {
  const auto row = static_cast<std::size_t>(size);
  double least = 1;
  for (std::size_t i = 0; i + row <= a.size(); i += row)
    least = std::min(least, cosine(a.subspan(i, row), b.subspan(i, row)));
  return least;
}

double rank_correlation(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> x = ranks(a), y = ranks(b);
  const double mean = 0.5 * static_cast<double>(x.size() - 1);
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xy / std::sqrt(xx * yy);
}

}  // namespace cross::driver
