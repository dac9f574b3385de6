// SentencePiece from a model's files, and to and from a plan: the file as it is, and two switches.
#include <fmt/format.h>

#include <cstring>

#include "base/json_fields.h"
#include "base/mapped_file.h"
#include "base/strict_json.h"
#include "cross/error.h"
#include "model/tokenizer/sentence_piece.h"

namespace cross::model {
namespace {

using base::Fields;

constexpr const char* model_name = "tokenizer.model";

}  // namespace

std::unique_ptr<Tokenizer> parse_sentence_piece(std::string_view model, const std::string& name,
                                                std::string_view config, const std::string& config_name) {
  SentencePieceRules rules;
  if (!config.empty()) {
    const nlohmann::json root = base::parse_strict_json(config, config_name);
    const Fields fields(root, config_name);
    const auto flag = [&](const char* field, bool& value) {
      if (fields.has(field) && !fields.at(field).is_null()) value = fields.boolean(field);
    };
    flag("add_bos_token", rules.add_first);
    flag("add_eos_token", rules.add_last);
  }
  return make_sentence_piece(model, rules, name);
}

StoredTokenizer store_sentence_piece(std::string_view model, const SentencePieceRules& rules) {
  std::vector<std::byte> bytes(model.size());
  std::memcpy(bytes.data(), model.data(), model.size());
  StoredTokenizer result;
  result.description = {
      {"kind", "SentencePiece"}, {"add_first", rules.add_first}, {"add_last", rules.add_last}};
  result.tensors.push_back(
      {model_name, StoredType::u8, {static_cast<std::int64_t>(bytes.size())}, Blob::own(std::move(bytes))});
  return result;
}

std::unique_ptr<Tokenizer> load_sentence_piece(const nlohmann::json& description, const ModelPart& part,
                                               const std::string& where) {
  const Fields fields(description, where);
  const SentencePieceRules rules{fields.boolean("add_first"), fields.boolean("add_last")};
  const PlanTensor* model = part.find(model_name);
  if (model == nullptr || model->type != StoredType::u8 || model->shape.size() != 1)
    throw InputError(fmt::format("{}: tensor \"{}\" is missing or is no list of bytes", where, model_name));
  return make_sentence_piece(base::as_text(model->data.bytes), rules, where);
}

}  // namespace cross::model
