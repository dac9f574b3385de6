#include "io/matrix_market.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/mapped_file.h"
#include "base/normal_source.h"
#include "base/quote.h"
#include "io/text_scanner.h"

namespace cross::io {
namespace {

using base::in_quotes;

enum class Field { real, integer, pattern };
enum class Symmetry { general, symmetric, skew };

struct Banner {
  bool coordinate = true;
  Field field = Field::real;
  Symmetry symmetry = Symmetry::general;
};

/// The words of the banner are case-insensitive.
std::string word(TextScanner& text, std::string_view what) {
  std::string lower(text.token(what));
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

Banner read_banner(TextScanner& text) {
  if (!text.next_line() || word(text, "%%MatrixMarket") != "%%matrixmarket")
    text.fail("the file must start with %%MatrixMarket");
  if (const auto object = word(text, "the object"); object != "matrix")
    text.fail(fmt::format("object {} is not supported; it must be matrix", in_quotes(object)));
  Banner banner;
  const auto format = word(text, "the format");
  if (format != "coordinate" && format != "array")
    text.fail(fmt::format("format {} is unknown; it must be coordinate or array", in_quotes(format)));
  banner.coordinate = format == "coordinate";

  const auto field = word(text, "the field");
  if (field == "real" || field == "double") {
    banner.field = Field::real;
  } else if (field == "integer") {
    banner.field = Field::integer;
  } else if (field == "pattern" && banner.coordinate) {
    banner.field = Field::pattern;
  } else {
    text.fail(fmt::format("field {} is not supported for {}; it must be real, integer{}", in_quotes(field),
                          format, banner.coordinate ? " or pattern" : ""));
  }

  const auto symmetry = word(text, "the symmetry");
  if (symmetry == "general") {
    banner.symmetry = Symmetry::general;
  } else if (symmetry == "symmetric") {
    banner.symmetry = Symmetry::symmetric;
  } else if (symmetry == "skew-symmetric" && banner.field != Field::pattern) {
    banner.symmetry = Symmetry::skew;
  } else {
    text.fail(fmt::format("symmetry {} is not supported for {}; it must be general, symmetric{}",
                          in_quotes(symmetry), field,
                          banner.field == Field::pattern ? "" : " or skew-symmetric"));
  }
  text.expect_line_end("object, format, field, symmetry");
  return banner;
}

struct Sizes {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t entries = 0;  // lines of a coordinate file
};

Sizes read_sizes(TextScanner& text, const Banner& banner, std::size_t file_bytes) {
  do {
    if (!text.next_filled_line()) text.fail("the file ends where the line of sizes should stand");
  } while (text.line().starts_with('%'));
  Sizes sizes;
  const auto size = [&](std::string_view what) {
    const std::int64_t value = text.integer(what);
    if (value < 0) text.fail(fmt::format("{} is {}; it must not be negative", what, value));
    return value;
  };
  sizes.rows = size("the number of rows");
  sizes.cols = size("the number of columns");
  if (banner.coordinate) sizes.entries = size("the number of entries");
  text.expect_line_end(banner.coordinate ? "rows, columns, entries" : "rows, columns");
  if (banner.symmetry != Symmetry::general && sizes.rows != sizes.cols)
    text.fail(fmt::format("a symmetric matrix must be square, not {} x {}", sizes.rows, sizes.cols));
  if (sizes.entries > static_cast<std::int64_t>(file_bytes))
    text.fail(fmt::format("{} entries cannot be in a file of {} bytes", sizes.entries, file_bytes));
  return sizes;
}

class Reader {
 public:
  Reader(TextScanner& text, const Banner& banner, const Sizes& sizes, DenseBuilder& matrix,
         std::uint64_t seed)
      : text_(text), banner_(banner), sizes_(sizes), matrix_(matrix), normal_(seed) {}

  void read_coordinates() {
    for (std::int64_t entry = 0; entry < sizes_.entries; ++entry) {
      next_entry(entry, sizes_.entries);
      const std::int64_t r = index("row", sizes_.rows);
      const std::int64_t c = index("column", sizes_.cols);
      place(r, c, value());
    }
  }

  void read_array() {
    const bool lower = banner_.symmetry != Symmetry::general;
    const std::int64_t skip = banner_.symmetry == Symmetry::skew ? 1 : 0;
    std::int64_t entry = 0;
    if (sizes_.rows == 0) return;  // a claimed 0 x 2^62 would keep us looping
    for (std::int64_t c = 0; c < sizes_.cols; ++c)
      for (std::int64_t r = lower ? c + skip : 0; r < sizes_.rows; ++r) {
        next_entry(entry++, sizes_.rows * sizes_.cols);
        place(r, c, value());
      }
  }

 private:
  void next_entry(std::int64_t entry, std::int64_t most) {
    // Arrays may have several values in a line.
    if (!banner_.coordinate && !text_.at_line_end()) return;
    if (entry > 0) text_.expect_line_end("row, column, value");
    do {
      if (!text_.next_filled_line())
        text_.fail(fmt::format("the file ends after {} entries; {} are announced", entry, most));
    } while (text_.line().starts_with('%'));
  }

  std::int64_t index(std::string_view what, std::int64_t size) {
    const std::int64_t one_based = text_.integer(what);
    if (one_based < 1 || one_based > size)
      text_.fail(fmt::format("{} {} is outside 1..{}", what, one_based, size));
    return one_based - 1;
  }

  float value() {
    switch (banner_.field) {
      case Field::pattern:
        return normal_.next();
      case Field::integer:
        return static_cast<float>(text_.integer("the value"));
      case Field::real:
        break;
    }
    return text_.real("the value");
  }

  void place(std::int64_t r, std::int64_t c, float value) {
    if (banner_.symmetry == Symmetry::skew && r == c)
      text_.fail(fmt::format("entry {}, {} lies on the diagonal, which a skew-symmetric file leaves out",
                             r + 1, c + 1));
    bool fresh = matrix_.place(r, c, value);
    if (banner_.symmetry != Symmetry::general && r != c)
      fresh =
          matrix_.place(c, r, banner_.symmetry == Symmetry::skew && value != 0.0f ? -value : value) && fresh;
    if (!fresh) text_.fail(fmt::format("entry {}, {} is given twice", r + 1, c + 1));
  }

  TextScanner& text_;
  const Banner& banner_;
  const Sizes& sizes_;
  DenseBuilder& matrix_;
  base::NormalSource normal_;
};

}  // namespace

DenseMatrix read_matrix_market(std::span<const std::byte> file, const std::string& name, std::uint64_t seed,
                               std::uint64_t most_bytes) {
  TextScanner text(base::as_text(file), name);
  const Banner banner = read_banner(text);
  const Sizes sizes = read_sizes(text, banner, file.size());
  DenseBuilder matrix(sizes.rows, sizes.cols, name, most_bytes);
  Reader reader(text, banner, sizes, matrix, seed);
  banner.coordinate ? reader.read_coordinates() : reader.read_array();
  text.expect_line_end("the last entry");
  while (text.next_filled_line())
    if (!text.line().starts_with('%')) text.fail("text after the last entry; the file must end there");
  return std::move(matrix).finish();
}

}  // namespace cross::io
