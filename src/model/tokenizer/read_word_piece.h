// WordPiece from a model's files, and from and to the description in a plan.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "model/tokenizer/word_piece.h"

namespace cross::model {

/// From `tokenizer.json` where the folder has one (what the reference loads), else from `vocab.txt` with the
/// flags of `tokenizer_config.json`. InputError, naming file and field, for another kind of tokeniser or
/// damage.
WordPiece read_word_piece(const std::filesystem::path& folder);

/// The parsers of those files; `name` stands in messages.
WordPiece parse_tokenizer_json(std::string_view text, const std::string& name);
/// @param config text of tokenizer_config.json, or empty
WordPiece parse_vocabulary(std::string_view vocabulary, const std::string& name, std::string_view config,
                           const std::string& config_name);

/// The rules as a plan's description has them; the vocabulary is a tensor of its own: pieces, one a line.
nlohmann::json describe(const WordPieceRules& rules);
WordPieceRules read_rules(const nlohmann::json& description, const std::string& where);
std::string vocabulary_text(const WordPiece& tokenizer);

}  // namespace cross::model
