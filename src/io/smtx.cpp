#include "io/smtx.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "base/normal_source.h"
#include "cross/error.h"
#include "io/text_scanner.h"

namespace cross::io {
namespace {

struct Sizes {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t nonzeros = 0;
};

Sizes read_sizes(TextScanner& text, std::size_t file_bytes) {
  if (!text.next_line()) text.fail("the file is empty; the first line must be \"rows, cols, nonzeros\"");
  text.commas_separate();
  Sizes sizes;
  for (const auto& [value, what] : {std::pair{&sizes.rows, "the number of rows"},
                                    {&sizes.cols, "the number of columns"},
                                    {&sizes.nonzeros, "the number of nonzeros"}}) {
    *value = text.integer(what);
    if (*value < 0) text.fail(fmt::format("{} is {}; it must not be negative", what, *value));
  }
  text.expect_line_end("rows, cols, nonzeros");
  // Each number takes two bytes of the file, so this bounds what we reserve below.
  const auto most = static_cast<std::int64_t>(file_bytes);
  if (sizes.rows > most || sizes.nonzeros > most)
    text.fail(fmt::format("{} rows and {} nonzeros cannot be in a file of {} bytes", sizes.rows,
                          sizes.nonzeros, most));
  return sizes;
}

std::vector<std::int64_t> read_row_offsets(TextScanner& text, const Sizes& sizes) {
  if (!text.next_line()) text.fail("the file ends where the line of row offsets should stand");
  std::vector<std::int64_t> offsets;
  offsets.reserve(static_cast<std::size_t>(sizes.rows) + 1);
  for (std::int64_t row = 0; row <= sizes.rows; ++row) {
    const std::int64_t offset = text.integer("a row offset");
    if (row == 0 && offset != 0) text.fail(fmt::format("the first row offset is {}; it must be 0", offset));
    if (row > 0 && offset < offsets.back())
      text.fail(fmt::format("row offset {} is below the one before, {}; they must not decrease", offset,
                            offsets.back()));
    if (offset > sizes.nonzeros)
      text.fail(fmt::format("row offset {} is above the number of nonzeros, {}", offset, sizes.nonzeros));
    offsets.push_back(offset);
  }
  if (offsets.back() != sizes.nonzeros)
    text.fail(fmt::format("the last row offset is {}; it must be the number of nonzeros, {}", offsets.back(),
                          sizes.nonzeros));
  text.expect_line_end(fmt::format("{} row offsets", offsets.size()));
  return offsets;
}

}  // namespace

DenseMatrix read_smtx(std::span<const std::byte> file, const std::string& name, std::uint64_t seed,
                      std::uint64_t most_bytes) {
  TextScanner text(base::as_text(file), name);
  const Sizes sizes = read_sizes(text, file.size());
  const std::vector<std::int64_t> offsets = read_row_offsets(text, sizes);
  DenseBuilder matrix(sizes.rows, sizes.cols, name, most_bytes);
  base::NormalSource normal(seed);
  if (!text.next_line() && sizes.nonzeros > 0)
    text.fail("the file ends where the line of column indices should stand");
  for (std::int64_t row = 0; row < sizes.rows; ++row) {
    const auto r = static_cast<std::size_t>(row);
    for (std::int64_t i = offsets[r]; i < offsets[r + 1]; ++i) {
      const std::int64_t col = text.integer("a column index");
      if (col < 0 || col >= sizes.cols)
        text.fail(fmt::format("column index {} is outside 0..{}", col, sizes.cols - 1));
      if (!matrix.place(row, col, normal.next()))
        text.fail(fmt::format("row {} has column {} twice", row, col));
    }
  }
  text.expect_line_end(fmt::format("{} column indices", sizes.nonzeros));
  if (text.next_filled_line()) text.fail("text after the column indices; the file must end there");
  return std::move(matrix).finish();
}

}  // namespace cross::io
