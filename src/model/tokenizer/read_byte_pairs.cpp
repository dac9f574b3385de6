#include "model/tokenizer/read_byte_pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "base/json_fields.h"
#include "base/quote.h"
#include "cross/error.h"

namespace cross::model {
namespace {

using base::Fields;
using nlohmann::json;

/// What a ByteLevel pre-tokeniser cuts by where it is not told otherwise: GPT-2's pattern.
constexpr const char* gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

bool flag_or(const Fields& fields, const char* field, bool otherwise) {
  return fields.has(field) && !fields.at(field).is_null() ? fields.boolean(field) : otherwise;
}

/// A component, or nothing: missing and null mean the same.
const json* component(const json& root, const char* name) {
  const auto found = root.find(name);
  return found == root.end() || found->is_null() ? nullptr : &*found;
}

/// Calls use(component) for one component, or for each of a Sequence, however deep.
template <class Use>
void for_each(const json& value, const char* list, const std::string& where, Use&& use) {
  const Fields fields(value, where);
  if (fields.text("type") != "Sequence") {
    use(fields);
    return;
  }
  for (const json& inner : fields.array(list)) for_each(inner, list, where, use);
}

void read_normalizer(const json& root, const std::string& name, BytePairRules& rules) {
  const json* value = component(root, "normalizer");
  if (value == nullptr) return;
  for_each(*value, "normalizers", name + ": normalizer", [&](const Fields& fields) {
    if (fields.text("type") != "NFC") fields.wrong("type", fields.at("type"), "NFC or Sequence");
    rules.cut.compose = true;
  });
}

/// `text` as a pattern that matches it alone.
std::string literal(const std::string& text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view("\\^$.|?*+()[]{}-&#").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

CutStep read_split(const Fields& fields) {
  CutStep step;
  const Fields pattern(fields.at("pattern"), fields.where() + " pattern");
  step.pattern = pattern.has("Regex") ? pattern.text("Regex") : literal(pattern.text("String"));
  if (step.pattern.empty()) fields.wrong("pattern", fields.at("pattern"), "a pattern that is not empty");
  step.invert = flag_or(fields, "invert", false);
  const std::string behavior = fields.text("behavior");
  const std::pair<const char*, Matches> behaviors[] = {{"Isolated", Matches::isolated},
                                                       {"Removed", Matches::removed},
                                                       {"MergedWithPrevious", Matches::merged_with_previous},
                                                       {"MergedWithNext", Matches::merged_with_next},
                                                       {"Contiguous", Matches::contiguous}};
  const auto* found = std::find_if(std::begin(behaviors), std::end(behaviors),
                                   [&](const auto& known) { return behavior == known.first; });
  if (found == std::end(behaviors))
    fields.wrong("behavior", behavior, "Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous");
  step.matches = found->second;
  return step;
}

void read_pre_tokenizer(const json& root, const std::string& name, BytePairRules& rules) {
  const std::string where = name + ": pre_tokenizer";
  const json* value = component(root, "pre_tokenizer");
  if (value == nullptr) throw InputError(where + " is missing; byte-level BPE needs ByteLevel");
  bool bytes = false;
  for_each(*value, "pretokenizers", where, [&](const Fields& fields) {
    const std::string type = fields.text("type");
    // What follows ByteLevel would see the alphabet of bytes instead of the text.
    if (bytes) fields.wrong("type", type, "nothing: ByteLevel must be the last");
    if (type == "Split") {
      rules.cut.steps.push_back(read_split(fields));
    } else if (type == "Digits") {
      rules.cut.steps.push_back(
          {flag_or(fields, "individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)", Matches::isolated, false});
    } else if (type == "ByteLevel") {
      bytes = true;
      if (flag_or(fields, "add_prefix_space", true)) rules.cut.steps.emplace_back();
      if (flag_or(fields, "use_regex", true))
        rules.cut.steps.push_back({gpt2_pattern, Matches::isolated, false});
    } else {
      fields.wrong("type", type, "Split, Digits, ByteLevel or Sequence");
    }
  });
  if (!bytes) throw InputError(where + " has no ByteLevel, which byte-level BPE needs");
}

void read_decoder(const json& root, const std::string& name) {
  const json* value = component(root, "decoder");
  if (value == nullptr) throw InputError(name + ": decoder is missing; it must be ByteLevel");
  for_each(*value, "decoders", name + ": decoder", [&](const Fields& fields) {
    if (fields.text("type") != "ByteLevel") fields.wrong("type", fields.at("type"), "ByteLevel");
  });
}

std::int32_t read_id(const json& id, const Fields& fields, const char* field) {
  if (!is_id(id)) fields.wrong(field, id, fmt::format("0 to {}", most_pieces - 1));
  return id.get<std::int32_t>();
}

/// One special token or text per entry of a template.
void read_template(const Fields& fields, BytePairRules& rules) {
  bool behind = false;
  for (const json& entry : fields.array("single")) {
    if (entry.is_object() && entry.contains("Sequence") && !behind) {
      behind = true;
      continue;
    }
    if (!entry.is_object() || !entry.contains("SpecialToken"))
      fields.wrong("single", fields.at("single"), "special tokens and the text once");
    const std::string token = Fields(entry["SpecialToken"], fields.where() + " single").text("id");
    const Fields tokens(fields.at("special_tokens"), fields.where() + " special_tokens");
    const Fields found(tokens.at(token.c_str()), tokens.where() + " " + base::in_quotes(token));
    for (const json& id : found.array("ids"))
      (behind ? rules.last : rules.first).push_back(read_id(id, found, "ids"));
  }
  if (!behind) fields.wrong("single", fields.at("single"), "special tokens and the text once");
}

void read_post_processor(const json& root, const std::string& name, BytePairRules& rules) {
  const json* value = component(root, "post_processor");
  if (value == nullptr) return;
  bool framed = false;
  for_each(*value, "processors", name + ": post_processor", [&](const Fields& fields) {
    const std::string type = fields.text("type");
    if (type == "ByteLevel") return;  // trims offsets, which nobody asks for here
    if (type != "TemplateProcessing") fields.wrong("type", type, "ByteLevel, TemplateProcessing or Sequence");
    if (framed) fields.wrong("type", type, "given once");
    framed = true;
    read_template(fields, rules);
  });
}

/// What BPE can do beside merging, and byte-level vocabularies do not use.
void refuse_options(const Fields& model) {
  for (const char* field : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (model.has(field) && !model.at(field).is_null() && model.at(field) != "")
      model.wrong(field, model.at(field), "null or empty");
  if (model.has("dropout") && !model.at("dropout").is_null() && model.at("dropout") != 0)
    model.wrong("dropout", model.at("dropout"), "null or 0");
  if (flag_or(model, "byte_fallback", false)) model.wrong("byte_fallback", true, "false");
}

using Ids = std::unordered_map<std::string, std::int32_t>;

Ids read_vocabulary(const Fields& model) {
  const json& map = model.at("vocab");
  if (!map.is_object()) model.wrong("vocab", map.type_name(), "an object from pieces to ids");
  Ids ids;
  ids.reserve(map.size());
  for (const auto& [piece, id] : map.items()) {
    if (!is_id(id))
      throw InputError(fmt::format("{}: \"vocab\" gives {} the id {}; ids are 0 to {}", model.where(),
                                   base::in_quotes(piece), id.dump(-1, ' ', true).substr(0, 40),
                                   most_pieces - 1));
    ids.emplace(piece, id.get<std::int32_t>());
  }
  return ids;
}

void read_added(const json& root, const std::string& name, BytePairRules& rules) {
  const json* list = component(root, "added_tokens");
  if (list == nullptr) return;
  for (const json& entry : Fields(root, name).array("added_tokens")) {
    const Fields fields(entry, name + ": added_tokens");
    AddedToken token;
    token.content = fields.text("content");
    token.id = read_id(fields.at("id"), fields, "id");
    token.special = flag_or(fields, "special", false);
    token.normalized = flag_or(fields, "normalized", !token.special);
    token.strip_left = flag_or(fields, "lstrip", false);
    token.strip_right = flag_or(fields, "rstrip", false);
    if (flag_or(fields, "single_word", false))
      throw InputError(fmt::format("{}: {} has \"single_word\": true, which is not supported", fields.where(),
                                   base::in_quotes(token.content)));
    rules.added.push_back(std::move(token));
  }
}

/// Pieces by id.
std::vector<std::string> by_id(const Ids& ids, const std::vector<AddedToken>& added,
                               const std::string& name) {
  std::int32_t largest = -1;
  for (const auto& [piece, id] : ids) largest = std::max(largest, id);
  for (const AddedToken& token : added) largest = std::max(largest, token.id);
  // Ids may have gaps, but a file must not make vast tables of a few pieces.
  if (largest >= 0 && static_cast<std::size_t>(largest) > 1'000'000 + 2 * (ids.size() + added.size()))
    throw InputError(fmt::format("{}: the largest id is {} though there are {} pieces", name, largest,
                                 ids.size() + added.size()));
  std::vector<std::string> pieces(static_cast<std::size_t>(largest + 1));
  const auto place = [&](const std::string& piece, std::int32_t id) {
    std::string& at = pieces[static_cast<std::size_t>(id)];
    if (!at.empty() && at != piece)
      throw InputError(fmt::format("{}: {} and {} have the same id {}", name,
                                   base::in_quotes(std::min(at, piece)), base::in_quotes(std::max(at, piece)),
                                   id));
    at = piece;
  };
  for (const auto& [piece, id] : ids) place(piece, id);
  for (const AddedToken& token : added) {
    const auto known = ids.find(token.content);
    if (known != ids.end() && known->second != token.id)
      throw InputError(fmt::format("{}: added_tokens gives {} the id {}, \"vocab\" {}", name,
                                   base::in_quotes(token.content), token.id, known->second));
    place(token.content, token.id);
  }
  return pieces;
}

std::vector<Merge> read_merges(const Fields& model, const Ids& ids) {
  const auto wrong = [&](const json& merge, const std::string& why) {
    throw InputError(fmt::format("{}: \"merges\" has {}, {}", model.where(),
                                 merge.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 80),
                                 why));
  };
  std::vector<Merge> merges;
  for (const json& entry : model.array("merges")) {
    std::string left, right;
    if (entry.is_string()) {
      const auto& text = entry.get_ref<const std::string&>();
      const std::size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
        wrong(entry, "which is not two pieces with one space between");
      left = text.substr(0, space);
      right = text.substr(space + 1);
    } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
      left = entry[0].get<std::string>();
      right = entry[1].get<std::string>();
    } else {
      wrong(entry, "which is no pair of pieces");
    }
    const auto id_of = [&](const std::string& piece) {
      const auto found = ids.find(piece);
      if (piece.empty() || found == ids.end())
        wrong(entry, fmt::format("but \"vocab\" has no {}", base::in_quotes(piece)));
      return found->second;
    };
    merges.push_back({id_of(left), id_of(right), id_of(left + right)});
  }
  return merges;
}

}  // namespace

bool is_byte_level(const json& tokenizer) {
  const json* decoder = tokenizer.is_object() ? component(tokenizer, "decoder") : nullptr;
  if (decoder == nullptr || !decoder->is_object()) return false;
  const auto is = [](const json& value) {
    return value.is_object() && value.contains("type") && value["type"] == "ByteLevel";
  };
  if (is(*decoder)) return true;
  const auto list = decoder->find("decoders");
  return list != decoder->end() && list->is_array() && std::any_of(list->begin(), list->end(), is);
}

BytePairs parse_byte_pairs(const json& root, const std::string& name) {
  const Fields model(Fields(root, name).at("model"), name + ": model");
  if (model.has("type") && model.text("type") != "BPE") model.wrong("type", model.at("type"), "BPE");
  BytePairRules rules;
  refuse_options(model);
  read_normalizer(root, name, rules);
  read_pre_tokenizer(root, name, rules);
  read_post_processor(root, name, rules);
  read_decoder(root, name);
  read_added(root, name, rules);
  rules.ignore_merges = flag_or(model, "ignore_merges", false);
  const Ids ids = read_vocabulary(model);
  std::vector<std::string> pieces = by_id(ids, rules.added, name);
  return {std::move(rules), std::move(pieces), read_merges(model, ids), name};
}

}  // namespace cross::model
