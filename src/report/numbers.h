// Numbers as pages show them.
#pragma once

#include <cstdint>
#include <string>

namespace cross::report {

std::string ratio(double value);         ///< "2.31×"; "–" for 0: not known
std::string microseconds(double value);  ///< "12.3 µs", "45.6 ms"; "–" for 0: not known
std::string round_time(double value);    ///< "20 µs", "1 ms": of a time on an axis
std::string percent(double share);       ///< "79.9 %"
std::string count(double value);         ///< "10.6 million", "24"
std::string tokens(std::int64_t value);  ///< "1 token", "128 tokens"

/// "12.3"; "–" for what is no finite number: logits that overflow predict nothing.
std::string perplexity(double value);

/// "1.53× smaller", "1.20× larger", "the same"; empty if one side is not known.
std::string size_change(std::uint64_t before, std::uint64_t after);

}  // namespace cross::report
