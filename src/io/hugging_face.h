// The folder layout of Hugging Face models: one safetensors file, or an index with shards.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace cross::io {

/// Shard file name → tensors that the index places there.
using ShardIndex = std::map<std::string, std::set<std::string>>;

/// Parses model.safetensors.index.json. Shards must be plain file names: an index must not lead us out of its
/// folder. Throws InputError with `name` in front.
ShardIndex read_shard_index(std::string_view text, const std::string& name);

/// Refuses a shard that lacks a tensor which the index places there.
void check_shard(const std::set<std::string>& expected, const std::set<std::string_view>& present,
                 const std::string& index_name, const std::string& shard);

}  // namespace cross::io
