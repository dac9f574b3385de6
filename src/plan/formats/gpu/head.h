// What launches of a packed matrix read on the host.
#pragma once

#include <cstddef>
#include <span>

namespace cross::formats::gpu {

/// Bytes at the beginning of a packed matrix that a launch reads in host memory: its header, in delta
/// formats where each CTA starts, and in split_blocks where few lists begin. Everything behind them is read
/// on the device only. The blob must have passed `check`.
std::size_t head_bytes(std::span<const std::byte> blob);

}  // namespace cross::formats::gpu
