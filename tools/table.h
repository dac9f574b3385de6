// Aligned columns and numbers for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/quantities.h"

namespace cross::cli {

/// Columns as wide as their widest cell, two spaces apart. The first column is left-aligned, the others
/// right-aligned unless marked. Cells are made safe to show: names come from files.
class Table {
 public:
  /// A heading that starts with '<' marks a left-aligned column.
  explicit Table(std::vector<std::string> headings);
  void add(std::vector<std::string> cells);
  std::string text() const;

 private:
  std::vector<bool> left_;
  std::vector<std::vector<std::string>> rows_;  ///< headings first
};

using base::bytes_text;
using base::microseconds_text;
using base::percent_text;
using base::ratio_text;

std::string plural(std::size_t count, const std::string& noun);  ///< "1 layer", "3 layers"

}  // namespace cross::cli
