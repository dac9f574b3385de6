#include "cross/device.h"

#include <fmt/format.h>

#include <charconv>

#include "base/quote.h"
#include "cross/error.h"

namespace cross {

DeviceId parse_device(std::string_view text) {
  if (text == "cpu") return {};
  DeviceId id{"cuda", 0};
  if (text == "cuda") return id;
  constexpr std::string_view prefix = "cuda:";
  if (text.starts_with(prefix)) {
    const char* end = text.data() + text.size();
    const auto [after, error] = std::from_chars(text.data() + prefix.size(), end, id.index);
    if (error == std::errc() && after == end && id.index >= 0) return id;
  }
  throw UsageError(
      fmt::format("--device {} is unknown; it can be cpu or cuda[:index]", base::in_quotes(text)));
}

}  // namespace cross
