#include "model/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include "base/json_fields.h"
#include "base/strict_json.h"
#include "cross/error.h"
#include "io/text_file.h"
#include "model/tokenizer/byte_pairs.h"
#include "model/tokenizer/read_byte_pairs.h"
#include "model/tokenizer/sentence_piece.h"

namespace cross::model {
namespace {

using nlohmann::json;

/// Why a tokenizer.json without byte-level BPE is refused: what stands in it.
[[noreturn]] void refuse(const json& root, const std::string& name) {
  const base::Fields model(base::Fields(root, name).at("model"), name + ": model");
  const std::string type = model.has("type") ? model.text("type") : "BPE";
  if (type != "BPE") model.wrong("type", type, "\"BPE\" with the decoder ByteLevel");
  throw InputError(fmt::format(
      "{}: is a BPE of characters, not of bytes (its decoder is not ByteLevel); its tokenizer.model, "
      "the SentencePiece file that it was made from, must stand beside it",
      name));
}

}  // namespace

std::unique_ptr<Tokenizer> read_tokenizer(const std::filesystem::path& folder) {
  const auto path = [&](const char* file) { return (folder / file).string(); };
  json root;
  const auto text = io::read_text_if_there(path("tokenizer.json"));
  if (text) {
    root = base::parse_strict_json(*text, path("tokenizer.json"));
    if (is_byte_level(root))
      return std::make_unique<BytePairs>(parse_byte_pairs(root, path("tokenizer.json")));
  }
  if (const auto model = io::read_text_if_there(path("tokenizer.model"))) {
    const auto config = io::read_text_if_there(path("tokenizer_config.json"));
    return parse_sentence_piece(*model, path("tokenizer.model"), config ? *config : "",
                                path("tokenizer_config.json"));
  }
  if (text) refuse(root, path("tokenizer.json"));
  return nullptr;
}

std::unique_ptr<Tokenizer> load_tokenizer(const json& description, const ModelPart& part,
                                          const std::string& where) {
  const base::Fields fields(description, where);
  const std::string kind = fields.text("kind");
  if (kind == "byte pairs") return load_byte_pairs(description, part, where);
  if (kind == "SentencePiece") return load_sentence_piece(description, part, where);
  fields.wrong("kind", kind, "\"byte pairs\" or \"SentencePiece\"");
}

}  // namespace cross::model
