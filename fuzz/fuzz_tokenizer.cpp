// tokenizer.json up to the first 0 byte; what follows is tokenised.
#include <algorithm>
#include <stdexcept>

#include "base/mapped_file.h"
#include "fuzz_target.h"
#include "model/tokenizer/read_word_piece.h"

void parse(std::span<const std::byte> file) {
  const std::string_view text = cross::base::as_text(file);
  const std::size_t end = std::min(text.find('\0'), text.size());
  const auto tokenizer = cross::model::parse_tokenizer_json(text.substr(0, end), "tokenizer.json");
  const auto pieces = static_cast<std::int32_t>(tokenizer.vocabulary().size());
  const auto rules = cross::model::read_rules(cross::model::describe(tokenizer.rules()), "plan");
  const cross::model::WordPiece again(rules, tokenizer.vocabulary(), "plan");
  const auto ids = tokenizer.tokenize(text.substr(end), 512);
  if (ids.size() < 2 || ids.size() > 512) throw std::logic_error("wrong count of tokens");
  for (const auto id : ids)
    if (id < 0 || id >= pieces) throw std::logic_error("an id that is no piece");
  if (again.tokenize(text.substr(end), 512) != ids) throw std::logic_error("described rules differ");
}
