// Chains of products: each reads what the one before it wrote, all share a workspace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cross/cuda.h"

namespace cross::testing {

/// Bytes of the last of `rounds` times `products` products of a session's square layer 0, each of which
/// multiplies the result of the one before it; the first multiplies x.
struct Chain {
  std::int64_t tokens = 0;
  std::span<const std::byte> x;
  std::size_t products = 4;
  int rounds = 10;
};
/// @param overlap  programmatic dependent launch, but for the very first product
std::vector<std::byte> run_chain(const cuda::Session& session, const Chain& chain, bool overlap);

/// Fails the test unless the chain gives the same bits with and without overlap.
void expect_same_bits_overlapped(const cuda::Session& session, const Chain& chain);

}  // namespace cross::testing
