#include "model/tokenizer/byte_alphabet.h"

#include <array>

namespace cross::model {
namespace {

constexpr bool prints_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr int others = 68;  // bytes that do not print themselves

constexpr std::array<std::uint16_t, 256> character_of = [] {
  std::array<std::uint16_t, 256> result{};
  std::uint16_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte)
    result[static_cast<std::size_t>(byte)] = prints_itself(byte) ? static_cast<std::uint16_t>(byte) : next++;
  return result;
}();

constexpr std::array<std::int16_t, 256 + others> byte_of = [] {
  std::array<std::int16_t, 256 + others> result{};
  for (auto& byte : result) byte = -1;
  for (std::size_t byte = 0; byte < 256; ++byte) result[character_of[byte]] = static_cast<std::int16_t>(byte);
  return result;
}();

}  // namespace

std::string in_byte_alphabet(std::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char byte : bytes) {
    const unsigned c = character_of[static_cast<unsigned char>(byte)];
    if (c < 0x80) {
      text.push_back(static_cast<char>(c));
    } else {  // two bytes reach to U+07FF
      text.push_back(static_cast<char>(0xC0 | c >> 6));
      text.push_back(static_cast<char>(0x80 | (c & 0x3F)));
    }
  }
  return text;
}

std::optional<std::string> from_byte_alphabet(std::string_view piece) {
  std::string bytes;
  bytes.reserve(piece.size());
  for (std::size_t i = 0; i < piece.size(); ++i) {
    unsigned c = static_cast<unsigned char>(piece[i]);
    if (c >= 0x80) {
      if ((c & 0xE0) != 0xC0 || i + 1 == piece.size()) return std::nullopt;
      c = (c & 0x1F) << 6 | (static_cast<unsigned char>(piece[++i]) & 0x3F);
    }
    if (c >= byte_of.size() || byte_of[c] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte_of[c]));
  }
  return bytes;
}

}  // namespace cross::model
