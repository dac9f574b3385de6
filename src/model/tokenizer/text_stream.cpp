#include "model/tokenizer/text_stream.h"

#include <utility>

#include "model/tokenizer/unicode.h"

namespace cross::model {
namespace {

unsigned char byte_at(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

std::string well_formed(std::string_view text) {
  if (first_ill_formed(text) == std::string_view::npos) return std::string(text);
  std::string result;
  for (const char32_t c : decode_utf8(text)) append_utf8(result, c);
  return result;
}

/// Whether `bytes`, one to three, start a UTF-8 character that is longer.
bool starts_character(std::string_view bytes) {
  const unsigned char lead = byte_at(bytes, 0);
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || bytes.size() >= length) return false;
  for (std::size_t i = 1; i < bytes.size(); ++i)
    if ((byte_at(bytes, i) & 0xC0) != 0x80) return false;
  if (bytes.size() == 1) return true;
  const unsigned char second = byte_at(bytes, 1);
  return (lead != 0xE0 || second >= 0xA0) && (lead != 0xED || second <= 0x9F) &&
         (lead != 0xF0 || second >= 0x90) && (lead != 0xF4 || second <= 0x8F);
}

}  // namespace

std::size_t complete_bytes(std::string_view text) {
  for (std::size_t held = 1; held <= 3 && held <= text.size(); ++held)
    if (starts_character(text.substr(text.size() - held))) return text.size() - held;
  return text.size();
}

std::string TextStream::add(std::int32_t id) {
  if (tokenizer_.is_special(id)) return {};
  std::string bytes = tokenizer_.bytes_of(id);
  if (bytes.empty()) return {};
  if (std::exchange(at_start_, false) && tokenizer_.drops_first_space() && bytes.front() == ' ')
    bytes.erase(0, 1);
  pending_ += bytes;
  const std::size_t complete = complete_bytes(pending_);
  std::string text = well_formed(std::string_view(pending_).substr(0, complete));
  pending_.erase(0, complete);
  return text;
}

std::string TextStream::finish() { return well_formed(std::exchange(pending_, {})); }

std::string decode(const Tokenizer& tokenizer, std::span<const std::int32_t> ids) {
  TextStream stream(tokenizer);
  std::string text;
  for (const std::int32_t id : ids) text += stream.add(id);
  return text += stream.finish();
}

}  // namespace cross::model
