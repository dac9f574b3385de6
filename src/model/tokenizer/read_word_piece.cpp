#include "model/tokenizer/read_word_piece.h"

#include <fmt/format.h>

#include <limits>

#include "base/json_fields.h"
#include "base/quote.h"
#include "base/strict_json.h"
#include "cross/error.h"
#include "io/text_file.h"

namespace cross::model {
namespace {

using base::Fields;
using nlohmann::json;

/// Larger vocabularies are none that exist; ids are counted in `int32`.
constexpr std::int64_t most_pieces = 10'000'000;

bool flag_or(const Fields& fields, const char* field, bool otherwise) {
  return fields.has(field) && !fields.at(field).is_null() ? fields.boolean(field) : otherwise;
}

/// A token is its text, or an object with that as "content".
std::string token_text(const json& value, const std::string& where) {
  return value.is_object() ? Fields(value, where).text("content")
                           : Fields(json{{"token", value}}, where).text("token");
}

void set_token(std::string& token, const Fields& fields, const char* field) {
  if (fields.has(field) && !fields.at(field).is_null())
    token = token_text(fields.at(field), fmt::format("{}: \"{}\"", fields.where(), field));
}

void require_type(const json& root, const char* part, const char* type, const std::string& name) {
  const Fields fields(Fields(root, name).at(part), fmt::format("{}: {}", name, part));
  const std::string found = fields.text("type");
  if (found != type)
    fields.wrong("type", found, fmt::format("\"{}\": other tokenisers are not supported", type));
}

void read_normalizer(const json& root, const std::string& name, WordPieceRules& rules) {
  require_type(root, "normalizer", "BertNormalizer", name);
  const Fields fields(root["normalizer"], name + ": normalizer");
  rules.clean_text = flag_or(fields, "clean_text", true);
  rules.cjk_spacing = flag_or(fields, "handle_chinese_chars", true);
  rules.lower_case = flag_or(fields, "lowercase", true);
  rules.strip_accents = flag_or(fields, "strip_accents", rules.lower_case);
}

std::vector<std::string> read_pieces(const Fields& model) {
  const json& map = model.at("vocab");
  if (!map.is_object()) model.wrong("vocab", map.type_name(), "an object from pieces to ids");
  if (map.size() > most_pieces) throw InputError(model.where() + ": \"vocab\" has too many pieces");
  std::vector<std::string> pieces(map.size());
  std::vector<bool> seen(map.size());
  for (const auto& [piece, id] : map.items()) {
    const bool fits = id.is_number_unsigned() && id.get<std::uint64_t>() < map.size();
    if (!fits || seen[id.get<std::size_t>()])
      throw InputError(fmt::format("{}: \"vocab\" gives {} the id {}; ids must be 0 to {}, each once",
                                   model.where(), base::in_quotes(piece),
                                   id.dump(-1, ' ', true).substr(0, 40), map.size() - 1));
    seen[id.get<std::size_t>()] = true;
    pieces[id.get<std::size_t>()] = piece;
  }
  return pieces;
}

void read_special(const json& root, const std::string& name, WordPieceRules& rules) {
  rules.special.clear();
  for (const json& entry : Fields(root, name).array("added_tokens")) {
    const Fields token(entry, name + ": added_tokens");
    if (flag_or(token, "special", false)) rules.special.push_back(token.text("content"));
  }
}

/// The post-processor puts one token in front of the text and one behind it.
void read_frame(const json& root, const std::string& name, WordPieceRules& rules) {
  const std::string where = name + ": post_processor";
  const Fields processor(Fields(root, name).at("post_processor"), where);
  const std::string type = processor.text("type");
  if (type == "BertProcessing") {
    const auto token = [&](const char* field) {
      const json& pair = processor.array(field);
      if (pair.empty() || !pair[0].is_string()) processor.wrong(field, pair, "a pair of token and id");
      return pair[0].get<std::string>();
    };
    rules.first = token("cls");
    rules.last = token("sep");
    return;
  }
  if (type != "TemplateProcessing") processor.wrong("type", type, "BertProcessing or TemplateProcessing");
  const json& single = processor.array("single");
  const auto special = [&](std::size_t i) {
    if (single.size() != 3 || !single[i].is_object() || !single[i].contains("SpecialToken"))
      processor.wrong("single", single, "a special token, the text, and a special token");
    return Fields(single[i]["SpecialToken"], where + " single").text("id");
  };
  rules.first = special(0);
  rules.last = special(2);
}

}  // namespace

WordPiece parse_tokenizer_json(std::string_view text, const std::string& name) {
  const json root = base::parse_strict_json(text, name);
  require_type(root, "model", "WordPiece", name);
  require_type(root, "pre_tokenizer", "BertPreTokenizer", name);
  WordPieceRules rules;
  read_normalizer(root, name, rules);
  const Fields model(root["model"], name + ": model");
  rules.unknown = model.text("unk_token");
  rules.continuation = model.text("continuing_subword_prefix");
  rules.longest_word = model.integer("max_input_chars_per_word", 1, std::numeric_limits<std::int32_t>::max());
  read_special(root, name, rules);
  read_frame(root, name, rules);
  return {rules, read_pieces(model), name};
}

WordPiece parse_vocabulary(std::string_view text, const std::string& name, std::string_view config,
                           const std::string& config_name) {
  WordPieceRules rules;
  if (!config.empty()) {
    const json root = base::parse_strict_json(config, config_name);
    const Fields fields(root, config_name);
    rules.lower_case = flag_or(fields, "do_lower_case", true);
    rules.strip_accents = flag_or(fields, "strip_accents", rules.lower_case);
    rules.cjk_spacing = flag_or(fields, "tokenize_chinese_chars", true);
    set_token(rules.unknown, fields, "unk_token");
    set_token(rules.first, fields, "cls_token");
    set_token(rules.last, fields, "sep_token");
    rules.special = {rules.unknown, rules.first, rules.last};
    std::string pad = "[PAD]", mask = "[MASK]";
    set_token(pad, fields, "pad_token");
    set_token(mask, fields, "mask_token");
    rules.special.insert(rules.special.end(), {pad, mask});
  }
  std::vector<std::string> pieces;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    pieces.emplace_back(line);
    if (pieces.size() > most_pieces) throw InputError(name + ": has too many lines for a vocabulary");
  }
  return {rules, std::move(pieces), name};
}

WordPiece read_word_piece(const std::filesystem::path& folder) {
  const auto path = [&](const char* file) { return (folder / file).string(); };
  if (const auto text = io::read_text_if_there(path("tokenizer.json")))
    return parse_tokenizer_json(*text, path("tokenizer.json"));
  const auto vocabulary = io::read_text_if_there(path("vocab.txt"));
  if (!vocabulary)
    throw InputError(
        fmt::format("{}: has neither tokenizer.json nor vocab.txt; an encoder needs its tokeniser "
                    "(--layers-only compiles the layers without)",
                    folder.string()));
  const auto config = io::read_text_if_there(path("tokenizer_config.json"));
  return parse_vocabulary(*vocabulary, path("vocab.txt"), config ? *config : "",
                          path("tokenizer_config.json"));
}

json describe(const WordPieceRules& rules) {
  return {{"kind", "WordPiece"},
          {"clean_text", rules.clean_text},
          {"cjk_spacing", rules.cjk_spacing},
          {"strip_accents", rules.strip_accents},
          {"lower_case", rules.lower_case},
          {"unknown", rules.unknown},
          {"first", rules.first},
          {"last", rules.last},
          {"continuation", rules.continuation},
          {"longest_word", rules.longest_word},
          {"special", rules.special}};
}

WordPieceRules read_rules(const json& description, const std::string& where) {
  const Fields fields(description, where);
  if (const std::string kind = fields.text("kind"); kind != "WordPiece")
    fields.wrong("kind", kind, "\"WordPiece\"");
  WordPieceRules rules;
  rules.clean_text = fields.boolean("clean_text");
  rules.cjk_spacing = fields.boolean("cjk_spacing");
  rules.strip_accents = fields.boolean("strip_accents");
  rules.lower_case = fields.boolean("lower_case");
  rules.unknown = fields.text("unknown");
  rules.first = fields.text("first");
  rules.last = fields.text("last");
  rules.continuation = fields.text("continuation");
  rules.longest_word = fields.integer("longest_word", 1, std::numeric_limits<std::int32_t>::max());
  rules.special.clear();
  for (const json& token : fields.array("special"))
    rules.special.push_back(token_text(token, where + " special"));
  return rules;
}

std::string vocabulary_text(const WordPiece& tokenizer) {
  std::string text;
  for (const std::string& piece : tokenizer.vocabulary()) {
    if (piece.find('\n') != std::string::npos || piece.ends_with('\r'))
      throw InputError(fmt::format("the vocabulary has a piece with a line end: {}", base::in_quotes(piece)));
    (text += piece) += '\n';
  }
  return text;
}

}  // namespace cross::model
