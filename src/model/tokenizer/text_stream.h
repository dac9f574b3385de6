// Token ids → text, as they come: what is given out never ends inside of a character.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "model/tokenizer/tokenizer.h"

namespace cross::model {

class TextStream {
 public:
  /// `tokenizer` must outlive the stream.
  explicit TextStream(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  /// The text that became complete with token `id`. Special tokens add none. Bytes that are no UTF-8 become
  /// U+FFFD.
  std::string add(std::int32_t id);
  /// What was held back: U+FFFD for a character that never became complete, or nothing.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  std::string pending_;
  bool at_start_ = true;
};

/// The text of all of `ids`.
std::string decode(const Tokenizer& tokenizer, std::span<const std::int32_t> ids);

/// Bytes of `text` in front of a character at its end that more bytes could complete.
std::size_t complete_bytes(std::string_view text);

}  // namespace cross::model
