// From what a fuzzer mutates to a plan file.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace cross::fuzz {

/// An input is the description as JSON, a zero byte, and the bytes of the tensors one after the other; in
/// "checksums" stands each tensor's size, or {"dtype", "shape"}. From these a file with right checksums is
/// made: a mutation would never pass them by itself. Input that starts with no brace is taken as the file.
std::string plan_file(std::span<const std::byte> input);

}  // namespace cross::fuzz
