#include "cross/version.h"

namespace cross {

std::string_view version() { return CROSS_VERSION; }

}  // namespace cross
