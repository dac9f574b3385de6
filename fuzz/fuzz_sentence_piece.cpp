// Text up to the first 0 byte, then a tokenizer.model.
#include <algorithm>
#include <stdexcept>

#include "base/mapped_file.h"
#include "fuzz_target.h"
#include "model/tokenizer/sentence_piece.h"
#include "model/tokenizer/text_stream.h"

void parse(std::span<const std::byte> file) {
  const std::string_view input = cross::base::as_text(file);
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string_view model = input.substr(std::min(end + 1, input.size()));
  const auto tokenizer = cross::model::make_sentence_piece(model, {.add_first = false}, "tokenizer.model");
  const auto ids = tokenizer->encode(input.substr(0, end));
  for (const auto id : ids)
    if (id < 0 || id >= tokenizer->size()) throw std::logic_error("an id that is no piece");
  cross::model::decode(*tokenizer, ids);
}
