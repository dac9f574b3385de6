#include "io/conv1d.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/strict_json.h"

namespace cross::io {
namespace {

constexpr std::string_view model_types[] = {"gpt2", "openai-gpt"};
constexpr std::string_view layers[] = {".c_attn.weight", ".q_attn.weight", ".c_proj.weight", ".c_fc.weight"};

}  // namespace

bool has_conv1d(std::string_view config, const std::string& where) {
  // Most models are others: their files are left alone.
  if (std::none_of(std::begin(model_types), std::end(model_types),
                   [&](std::string_view type) { return config.find(type) != std::string_view::npos; }))
    return false;
  const nlohmann::json root = base::parse_strict_json(config, where);
  if (!root.is_object() || !root.contains("model_type") || !root["model_type"].is_string()) return false;
  const auto type = root["model_type"].get<std::string>();
  return std::find(std::begin(model_types), std::end(model_types), type) != std::end(model_types);
}

bool is_conv1d(const Tensor& tensor) {
  return tensor.shape.size() == 2 &&
         std::any_of(std::begin(layers), std::end(layers),
                     [&](std::string_view layer) { return tensor.name.ends_with(layer); });
}

base::ZeroedBuffer transposed(std::span<const std::byte> bytes, StoredType type, std::int64_t rows,
                              std::int64_t cols) {
  base::ZeroedBuffer result(bytes.size());
  const std::size_t width = size_of(type);
  const auto r_count = static_cast<std::size_t>(rows), c_count = static_cast<std::size_t>(cols);
  // Tiles of which both sides stay in the first cache level.
  constexpr std::size_t tile = 32;
  for (std::size_t r0 = 0; r0 < r_count; r0 += tile)
    for (std::size_t c0 = 0; c0 < c_count; c0 += tile)
      for (std::size_t c = c0; c < std::min(c0 + tile, c_count); ++c)
        for (std::size_t r = r0; r < std::min(r0 + tile, r_count); ++r)
          std::memcpy(result.data() + (c * r_count + r) * width, bytes.data() + (r * c_count + c) * width,
                      width);
  return result;
}

}  // namespace cross::io
