// How alike two sets of embeddings are.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cross::driver {

/// a·b / (|a|·|b|); 0 where one has no length.
double cosine(std::span<const float> a, std::span<const float> b);

/// Over rows of two [rows, size] matrices.
double least_cosine(std::span<const float> a, std::span<const float> b, std::int64_t size);

/// Spearman's rank correlation: the correlation of ranks, equal values sharing the mean of theirs. NaN if one
/// side is all equal.
double rank_correlation(std::span<const double> a, std::span<const double> b);

}  // namespace cross::driver
