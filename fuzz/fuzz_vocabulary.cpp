// vocab.txt up to the first 0 byte, tokenizer_config.json up to the second; what follows is tokenised.
#include <algorithm>
#include <stdexcept>

#include "base/mapped_file.h"
#include "fuzz_target.h"
#include "model/tokenizer/read_word_piece.h"

void parse(std::span<const std::byte> file) {
  std::string_view text = cross::base::as_text(file);
  const auto part = [&] {
    const std::size_t end = std::min(text.find('\0'), text.size());
    const std::string_view result = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return result;
  };
  const std::string_view vocabulary = part(), config = part();
  const auto tokenizer =
      cross::model::parse_vocabulary(vocabulary, "vocab.txt", config, "tokenizer_config.json");
  const auto pieces = static_cast<std::int32_t>(tokenizer.vocabulary().size());
  for (const auto id : tokenizer.tokenize(text, 512))
    if (id < 0 || id >= pieces) throw std::logic_error("an id that is no piece");
  const auto again = cross::model::parse_vocabulary(cross::model::vocabulary_text(tokenizer), "plan", config,
                                                    "tokenizer_config.json");
  if (again.vocabulary() != tokenizer.vocabulary())
    throw std::logic_error("the vocabulary changed on its way");
}
