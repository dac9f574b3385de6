// A tokeniser's part of a plan: its description as JSON up to the first 0 byte, then its tensors, each with
// its length in two bytes in front.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/mapped_file.h"
#include "base/strict_json.h"
#include "cross/plan.h"
#include "fuzz_target.h"
#include "model/tokenizer/text_stream.h"
#include "model/tokenizer/tokenizer.h"

void parse(std::span<const std::byte> file) {
  const std::string_view input = cross::base::as_text(file);
  const std::size_t end = std::min(input.find('\0'), input.size());
  auto rest = file.subspan(std::min(end + 1, file.size()));
  const auto take = [&] {
    std::size_t size = 0;
    if (rest.size() >= 2) {
      size = static_cast<std::size_t>(rest[0]) | static_cast<std::size_t>(rest[1]) << 8;
      rest = rest.subspan(2);
    }
    const auto taken = rest.first(std::min(size, rest.size()));
    rest = rest.subspan(taken.size());
    return std::vector<std::byte>(taken.begin(), taken.end());
  };
  const auto description = cross::base::parse_strict_json(input.substr(0, end), "plan");
  cross::ModelPart part;
  const auto add = [&](const char* name, cross::StoredType type, std::int64_t width) {
    std::vector<std::byte> bytes = take();
    const auto unit = static_cast<std::size_t>(width) * cross::size_of(type);
    bytes.resize(bytes.size() / unit * unit);
    const auto rows = static_cast<std::int64_t>(bytes.size() / unit);
    part.tensors.push_back({name, type, width == 1 ? std::vector{rows} : std::vector{rows, width},
                            cross::Blob::own(std::move(bytes))});
  };
  add("tokenizer.pieces", cross::StoredType::u8, 1);
  add("tokenizer.ends", cross::StoredType::i32, 1);
  add("tokenizer.merges", cross::StoredType::i32, 3);
  const auto tokenizer = cross::model::load_tokenizer(description, part, "plan");
  const auto ids = tokenizer->encode("the cat's  hat 123\n\n caf\xC3\xA9 <|end|> \xF0\x9F\x98\x80");
  for (const auto id : ids)
    if (id < 0 || id >= tokenizer->size()) throw std::logic_error("an id that is no piece");
  cross::model::decode(*tokenizer, ids);
}
