#include "base/mapped_file.h"
#include "fuzz_target.h"
#include "io/hugging_face.h"

void parse(std::span<const std::byte> file) {
  for (const auto& [shard, tensors] : cross::io::read_shard_index(cross::base::as_text(file), "index.json"))
    cross::io::check_shard(tensors, {tensors.begin(), tensors.end()}, "index.json", shard);
}
