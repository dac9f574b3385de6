// How the report's page looks, and the one script that it carries.
#pragma once

namespace cross::report {

extern const char* const page_css;

/// Sorts tables by the column that is clicked, and opens all details for printing. The page is complete
/// without it.
extern const char* const page_script;
/// "sha256-…" of page_script: the page's policy lets browsers run nothing else. A browser says what it should
/// be where it is not (tests/report/browser).
extern const char* const page_script_hash;

}  // namespace cross::report
