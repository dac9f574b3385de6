// What every fuzz target shares: a target defines `parse`, and nothing else.
#pragma once

#include <cstddef>
#include <span>

/// Parses one input. It may throw cross::Error for what a user can cause; any other exception, an
/// InternalError, a crash or a sanitizer report is a finding.
void parse(std::span<const std::byte> file);

/// Dense matrices that inputs may ask for: small, so that the fuzzer's time goes into parsing.
inline constexpr unsigned long long most_dense_bytes = 1 << 20;
