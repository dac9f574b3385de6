// Packed weights of GPU plans: format, rows and columns in five bytes, then the blob. What `check` accepts
// decodes to positions inside of the matrix.
#include <cstring>
#include <iterator>
#include <stdexcept>
#include <vector>

#include "cross/error.h"
#include "fuzz_target.h"
#include "plan/formats/gpu/packed.h"

void parse(std::span<const std::byte> file) {
  using namespace cross;
  constexpr std::size_t head = 5;
  constexpr std::size_t alignment = 256;  // of a plan for GPUs
  if (file.size() < head) return;
  const auto byte = [&](std::size_t at) { return static_cast<std::int64_t>(file[at]); };
  const Format format = gpu_formats[static_cast<std::size_t>(byte(0)) % std::size(gpu_formats)];
  const std::int64_t rows = 1 + (byte(1) << 8 | byte(2)) % 1200, cols = 1 + (byte(3) << 8 | byte(4)) % 1200;
  struct alignas(alignment) Line {
    std::byte bytes[alignment];
  };
  const auto given = file.subspan(head);
  std::vector<Line> lines((given.size() + alignment - 1) / alignment);
  if (!given.empty()) std::memcpy(lines.data(), given.data(), given.size());
  const auto blob = std::as_bytes(std::span(lines)).first(given.size());
  const std::string wrong = formats::gpu::check(blob, format, rows, cols);
  if (!wrong.empty()) throw InputError(wrong);
  formats::gpu::decode(blob, [&](std::int64_t row, std::int64_t col, auto) {
    if (row < 0 || row >= rows || col < 0 || col >= cols) throw std::logic_error("a weight outside");
  });
}
