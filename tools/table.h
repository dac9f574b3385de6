// Aligned columns and numbers for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

std::string bytes_text(std::uint64_t bytes);                     ///< "12.3 MB"
std::string microseconds_text(double us);                        ///< "12.3 us", "45.6 ms"
std::string percent_text(double share);                          ///< "79.98 %"
std::string ratio_text(double ratio);                            ///< "2.31x", "-" for 0
std::string plural(std::size_t count, const std::string& noun);  ///< "1 layer", "3 layers"

}  // namespace cross::cli
