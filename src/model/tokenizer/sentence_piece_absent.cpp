// The same without the library, for builds on GPU machines that lack it.
#include "cross/error.h"
#include "model/tokenizer/sentence_piece.h"

namespace cross::model {

bool has_sentence_piece() { return false; }

std::unique_ptr<Tokenizer> make_sentence_piece(std::string_view, SentencePieceRules,
                                               const std::string& where) {
  throw DeviceError(where +
                    ": this build has no SentencePiece; install libsentencepiece-dev and build again");
}

}  // namespace cross::model
