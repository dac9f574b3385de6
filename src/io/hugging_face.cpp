#include "io/hugging_face.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/quote.h"
#include "base/strict_json.h"
#include "cross/error.h"

namespace cross::io {
namespace {

using base::in_quotes;

bool is_plain_file_name(std::string_view name) {
  constexpr std::string_view forbidden("/\\\0", 3);
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(forbidden) == std::string_view::npos;
}

}  // namespace

ShardIndex read_shard_index(std::string_view text, const std::string& name) {
  const nlohmann::json root = base::parse_strict_json(text, name + ": the index");
  if (!root.is_object() || !root.contains("weight_map") || !root["weight_map"].is_object())
    throw InputError(
        fmt::format("{}: no weight_map; the index must be an object with weight_map, an object from tensor "
                    "names to file names",
                    name));
  ShardIndex index;
  for (const auto& [tensor, value] : root["weight_map"].items()) {
    if (!value.is_string())
      throw InputError(fmt::format("{}: weight_map {} is {}; it must be a file name", name, in_quotes(tensor),
                                   value.type_name()));
    const auto& shard = value.get_ref<const std::string&>();
    if (!is_plain_file_name(shard))
      throw InputError(
          fmt::format("{}: weight_map {} is {}; it must be the name of a file beside the index, without a "
                      "path",
                      name, in_quotes(tensor), in_quotes(shard)));
    index[shard].insert(tensor);
  }
  if (index.empty())
    throw InputError(fmt::format("{}: weight_map is empty; it must name the model's tensors", name));
  return index;
}

void check_shard(const std::set<std::string>& expected, const std::set<std::string_view>& present,
                 const std::string& index_name, const std::string& shard) {
  for (const std::string& tensor : expected)
    if (!present.contains(tensor))
      throw InputError(fmt::format("{}: weight_map places tensor {} in {}, which has no such tensor",
                                   index_name, in_quotes(tensor), in_quotes(shard)));
}

}  // namespace cross::io
