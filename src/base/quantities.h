// Numbers for people: one way to write bytes, times, shares and ratios, wherever they are shown.
#pragma once

#include <cstdint>
#include <string>

namespace cross::base {

std::string bytes_text(std::uint64_t bytes);  ///< "12.34 MB"
std::string microseconds_text(double us);     ///< "12.3 us", "45.60 ms"; "-" for 0: not known
std::string percent_text(double share);       ///< "79.98 %"
std::string ratio_text(double ratio);         ///< "2.31x"; "-" for 0: not known

}  // namespace cross::base
