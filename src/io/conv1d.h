// Weights that are stored as [in, out]: the Conv1D of GPT-2 and its kin.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/zeroed_buffer.h"
#include "cross/model.h"

namespace cross::io {

/// Whether a model with this config.json has such weights, by its "model_type". InputError, starting with
/// `where`, if it is damaged.
bool has_conv1d(std::string_view config, const std::string& where);

/// Whether `tensor`, of such a model, is one of them, by its name.
bool is_conv1d(const Tensor& tensor);

/// A matrix of any type with rows and columns exchanged; `shape` is that of `bytes`.
base::ZeroedBuffer transposed(std::span<const std::byte> bytes, StoredType type, std::int64_t rows,
                              std::int64_t cols);

}  // namespace cross::io
