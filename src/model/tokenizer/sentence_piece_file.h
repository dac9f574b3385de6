// What must hold in a `tokenizer.model` before the library reads it.
#pragma once

#include <string>
#include <string_view>

namespace cross::model {

struct SentencePieceFile {
  bool drops_first_space = true;  ///< it puts a space in front of every text, and takes it off again
};

/// The library follows offsets in the tables of normalisation without looking at them. InputError, starting
/// with `where`, if one of them could leave its table, or if the bytes are no such file.
SentencePieceFile check_sentence_piece_file(std::string_view bytes, const std::string& where);

}  // namespace cross::model
