#include "io/text_file.h"

#include <fmt/format.h>

#include <system_error>

#include "base/mapped_file.h"
#include "cross/error.h"

namespace cross::io {

std::optional<std::string> read_text_if_there(const std::filesystem::path& path) {
  constexpr std::size_t largest_bytes = 100'000'000;
  std::error_code unreadable;  // counts as absent
  if (!std::filesystem::is_regular_file(path, unreadable)) return std::nullopt;
  const base::MappedFile file(path);
  if (file.bytes().size() > largest_bytes)
    throw InputError(fmt::format("{}: {} bytes are above the limit of {} bytes for such a file",
                                 path.string(), file.bytes().size(), largest_bytes));
  return std::string(base::as_text(file.bytes()));
}

}  // namespace cross::io
