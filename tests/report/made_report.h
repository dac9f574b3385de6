// Reports with numbers that a test knows.
#pragma once

#include "cross/report.h"

namespace cross::testing {

/// A name that closes elements, attributes and scripts, asks for another server, turns the direction of text
/// and holds bytes that are no text.
extern const char* const evil_name;

/// A model plan of three layers with everything measured; the second layer has `evil_name`.
Report made_report();
/// The same layers as those of a decoder.
Report decoder_report();
/// A plan of `layers` layers of which nothing was measured.
Report bare_report(std::size_t layers);

}  // namespace cross::testing
