// The report's page.
#pragma once

#include <string>

#include "cross/report.h"

namespace cross::report {

/// cross::report_html.
std::string page_of(const Report& report);

}  // namespace cross::report
