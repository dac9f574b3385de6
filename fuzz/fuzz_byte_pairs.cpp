// tokenizer.json of a byte-level BPE up to the first 0 byte; what follows is tokenised.
#include <algorithm>
#include <stdexcept>

#include "base/mapped_file.h"
#include "base/strict_json.h"
#include "fuzz_target.h"
#include "model/tokenizer/read_byte_pairs.h"
#include "model/tokenizer/text_stream.h"

void parse(std::span<const std::byte> file) {
  const std::string_view input = cross::base::as_text(file);
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string_view text = input.substr(end);
  const auto root = cross::base::parse_strict_json(input.substr(0, end), "tokenizer.json");
  cross::model::is_byte_level(root);
  const auto tokenizer = cross::model::parse_byte_pairs(root, "tokenizer.json");
  const auto stored = tokenizer.stored();
  cross::ModelPart part;
  part.tensors = stored.tensors;
  const auto again = cross::model::load_tokenizer(stored.description, part, "plan");
  const auto ids = tokenizer.encode(text);
  for (const auto id : ids)
    if (id < 0 || id >= tokenizer.size()) throw std::logic_error("an id that is no piece");
  if (again->encode(text) != ids) throw std::logic_error("the stored tokeniser differs");
  const std::string decoded = cross::model::decode(tokenizer, ids);
  if (cross::model::complete_bytes(decoded) != decoded.size())
    throw std::logic_error("text that ends inside of a character");
}
