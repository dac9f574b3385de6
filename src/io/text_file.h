// Small text files beside a model's weights.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace cross::io {

/// The whole file; nothing if there is none. InputError if it cannot be read or is larger than any such file
/// should be (100 MB).
std::optional<std::string> read_text_if_there(const std::filesystem::path& path);

}  // namespace cross::io
