#include "model/tokenizer/sentence_piece_file.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <optional>

#include "cross/error.h"

namespace cross::model {
namespace {

/// One field of a protocol buffer message.
struct Field {
  std::uint64_t number = 0;
  std::uint64_t value = 0;   ///< of a varint
  std::string_view content;  ///< of what has a length
};

/// Takes a message apart, field by field. Groups, which this format never has, are refused.
class Message {
 public:
  Message(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  std::optional<Field> next() {
    if (bytes_.empty()) return std::nullopt;
    const std::uint64_t tag = varint();
    Field field;
    field.number = tag >> 3;
    if (field.number == 0) damaged();
    switch (tag & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.content = take(8);
        break;
      case 2:
        field.content = take(varint());
        break;
      case 5:
        field.content = take(4);
        break;
      default:
        damaged();
    }
    return field;
  }

 private:
  [[noreturn]] void damaged() const {
    throw InputError(where_ + ": is no SentencePiece model, or a damaged one");
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    damaged();
  }
  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size()) damaged();
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }

  std::string_view bytes_;
  const std::string& where_;
};

std::uint32_t word_at(std::string_view bytes, std::size_t at) {
  std::uint32_t word;
  std::memcpy(&word, bytes.data() + at, 4);
  return word;
}

/// A table of normalisation: the bytes of a double-array trie, its units, and the texts that its values point
/// to. From unit i a key's byte b leads to unit i ^ offset ^ b; the value of what was read so far, if it has
/// one, stands in unit i ^ offset, and is the start of a text that ends with a 0.
bool charsmap_is_sound(std::string_view map) {
  if (map.empty()) return true;
  if (map.size() < 4) return false;
  const std::size_t bytes = word_at(map, 0);
  if (bytes % 4 != 0 || bytes == 0 || bytes > map.size() - 4) return false;
  const std::string_view units = map.substr(4, bytes), texts = map.substr(4 + bytes);
  if (texts.empty() || texts.back() != '\0') return false;
  for (std::size_t i = 0; i < bytes / 4; ++i) {
    const std::uint32_t unit = word_at(units, 4 * i);
    // No key's byte leads to such a unit; the first one is where every key begins, whatever it says.
    if (i != 0 && unit >> 31 != 0) continue;
    const std::size_t next = i ^ static_cast<std::size_t>(unit >> 10) << ((unit & (1u << 9)) >> 6);
    if ((next | 0xFF) >= bytes / 4) return false;
    const bool has_value = (unit >> 8 & 1) != 0;
    if (has_value && (word_at(units, 4 * next) & 0x7FFFFFFF) >= texts.size()) return false;
  }
  return true;
}

struct Normalizer {
  bool dummy_prefix = true, remove_extra_spaces = true;
};

Normalizer check_normalizer(std::string_view bytes, const std::string& where) {
  Normalizer result;
  Message message(bytes, where);
  while (const auto field = message.next()) {
    if (field->number == 2 && !charsmap_is_sound(field->content))
      throw InputError(where + ": the table of its normalisation is damaged");
    if (field->number == 3) result.dummy_prefix = field->value != 0;
    if (field->number == 4) result.remove_extra_spaces = field->value != 0;
  }
  return result;
}

/// The other format of this name: a line is a piece in base64 and its rank, "IQ== 0".
bool is_list_of_ranks(std::string_view bytes) {
  const std::string_view line = bytes.substr(0, bytes.find('\n'));
  const std::size_t gap =
      line.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=");
  return gap != 0 && gap < line.size() - 1 && line[gap] == ' ' &&
         line.find_first_not_of("0123456789", gap + 1) == std::string_view::npos;
}

}  // namespace

SentencePieceFile check_sentence_piece_file(std::string_view bytes, const std::string& where) {
  if (is_list_of_ranks(bytes))
    throw InputError(
        where +
        ": is a list of ranks (tiktoken's format), no SentencePiece model; the tokenizer.json of "
        "the same model says the same and the rules that are missing here");
  SentencePieceFile result;
  Message message(bytes, where);
  bool normalizer = false;
  while (const auto field = message.next()) {
    if (field->number == 5) check_normalizer(field->content, where);
    if (field->number != 3) continue;
    // Where a message stands twice the library merges the two.
    if (normalizer) throw InputError(where + ": has two rules of normalisation");
    normalizer = true;
    const Normalizer found = check_normalizer(field->content, where);
    result.drops_first_space = found.dummy_prefix || found.remove_extra_spaces;
  }
  return result;
}

}  // namespace cross::model
