// SentencePiece, the tokeniser of Llama 2, Mistral 7B and their kin: its library, run on `tokenizer.model`.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/tokenizer.h"

namespace cross::model {

struct SentencePieceRules {
  bool add_first = true;  ///< the model's token for the start of a text, in front of every text
  bool add_last = false;  ///< the one for its end, behind every text
};

/// Whether this build has the library.
bool has_sentence_piece();

/// @param model the bytes of `tokenizer.model`; they are checked, then kept.
/// DeviceError if this build lacks the library, InputError, starting with `where`, for bytes that are no such
/// file or for one without the tokens that the rules want.
std::unique_ptr<Tokenizer> make_sentence_piece(std::string_view model, SentencePieceRules rules,
                                               const std::string& where);

/// From the files of a model's folder: the text of tokenizer.model and, or empty, tokenizer_config.json.
std::unique_ptr<Tokenizer> parse_sentence_piece(std::string_view model, const std::string& name,
                                                std::string_view config, const std::string& config_name);

/// Its parts in a plan: see `Tokenizer::stored`.
StoredTokenizer store_sentence_piece(std::string_view model, const SentencePieceRules& rules);
std::unique_ptr<Tokenizer> load_sentence_piece(const nlohmann::json& description, const ModelPart& part,
                                               const std::string& where);

}  // namespace cross::model
