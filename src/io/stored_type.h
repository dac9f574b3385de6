// From the names of element types to the types; the way back is name_of in cross/model.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cross/model.h"

namespace cross::io {

std::optional<StoredType> stored_type_named(std::string_view name);
/// All names, for messages.
std::string stored_type_names();

/// Bytes of a tensor; nothing where the product does not fit 64 bits. Dimensions must not be negative.
std::optional<std::uint64_t> checked_bytes(StoredType type, std::span<const std::int64_t> shape);

}  // namespace cross::io
