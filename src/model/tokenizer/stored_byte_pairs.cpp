// Byte-level BPE in a plan: rules in the description, pieces one behind the other, their ends, and the
// merges.
#include <fmt/format.h>

#include <cstring>
#include <limits>

#include "base/json_fields.h"
#include "base/mapped_file.h"
#include "base/quote.h"
#include "cross/error.h"
#include "model/tokenizer/byte_pairs.h"

namespace cross::model {
namespace {

using base::Fields;
using nlohmann::json;

constexpr const char* pieces_name = "tokenizer.pieces";
constexpr const char* ends_name = "tokenizer.ends";
constexpr const char* merges_name = "tokenizer.merges";

constexpr const char* names_of_matches[] = {"isolated", "removed", "merged_with_previous", "merged_with_next",
                                            "contiguous"};

template <class T>
PlanTensor tensor_of(const char* name, StoredType type, std::vector<std::int64_t> shape, const T* data,
                     std::size_t count) {
  std::vector<std::byte> bytes(count * sizeof(T));
  if (count > 0) std::memcpy(bytes.data(), data, bytes.size());
  return {name, type, std::move(shape), Blob::own(std::move(bytes))};
}

/// The values of a tensor [rows] or [rows, columns], copied: a plan from memory may lie anywhere.
template <class T>
std::vector<T> values_of(const ModelPart& part, const char* name, StoredType type, std::size_t columns,
                         const std::string& where) {
  const PlanTensor* tensor = part.find(name);
  const std::size_t dimensions = columns == 1 ? 1 : 2;
  if (tensor == nullptr || tensor->type != type || tensor->shape.size() != dimensions ||
      (columns != 1 && tensor->shape[1] != static_cast<std::int64_t>(columns)))
    throw InputError(fmt::format("{}: tensor {} is missing or is no {} [rows{}]", where,
                                 base::in_quotes(name), name_of(type),
                                 columns == 1 ? "" : fmt::format(", {}", columns)));
  std::vector<T> values(tensor->data.bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor->data.bytes.data(), values.size() * sizeof(T));
  return values;
}

json describe(const CutStep& step) {
  if (step.pattern.empty()) return "space";
  return {{"pattern", step.pattern},
          {"matches", names_of_matches[static_cast<std::size_t>(step.matches)]},
          {"invert", step.invert}};
}

CutStep read_step(const json& value, const std::string& where) {
  if (value == "space") return {};
  const Fields fields(value, where);
  CutStep step;
  step.pattern = fields.text("pattern");
  if (step.pattern.empty()) fields.wrong("pattern", step.pattern, "a pattern that is not empty");
  step.invert = fields.boolean("invert");
  const std::string matches = fields.text("matches");
  std::size_t kind = 0;
  while (kind < std::size(names_of_matches) && matches != names_of_matches[kind]) ++kind;
  if (kind == std::size(names_of_matches)) fields.wrong("matches", matches, "isolated, removed, …");
  step.matches = static_cast<Matches>(kind);
  return step;
}

std::vector<std::int32_t> read_ids(const Fields& fields, const char* field) {
  std::vector<std::int32_t> ids;
  for (const json& id : fields.array(field)) {
    if (!is_id(id)) fields.wrong(field, id, "a token's id");
    ids.push_back(id.get<std::int32_t>());
  }
  return ids;
}

}  // namespace

StoredTokenizer BytePairs::stored() const {
  StoredTokenizer result;
  json steps = json::array(), added = json::array();
  for (const CutStep& step : rules_.cut.steps) steps.push_back(describe(step));
  for (const AddedToken& token : rules_.added)
    added.push_back({{"id", token.id},
                     {"special", token.special},
                     {"normalized", token.normalized},
                     {"strip_left", token.strip_left},
                     {"strip_right", token.strip_right}});
  result.description = {{"kind", "byte pairs"}, {"compose", rules_.cut.compose},
                        {"steps", steps},       {"ignore_merges", rules_.ignore_merges},
                        {"added", added},       {"first", rules_.first},
                        {"last", rules_.last}};
  std::string text;
  std::vector<std::int32_t> ends;
  for (const std::string& piece : pieces_) {
    text += piece;
    if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
      throw InputError("the tokeniser's pieces have more than 2 GB of text");
    ends.push_back(static_cast<std::int32_t>(text.size()));
  }
  const auto rows = [](std::size_t count) { return static_cast<std::int64_t>(count); };
  result.tensors.push_back(
      tensor_of(pieces_name, StoredType::u8, {rows(text.size())}, text.data(), text.size()));
  result.tensors.push_back(
      tensor_of(ends_name, StoredType::i32, {rows(ends.size())}, ends.data(), ends.size()));
  result.tensors.push_back(
      tensor_of(merges_name, StoredType::i32, {rows(merges_.size()), 3}, merges_.data(), merges_.size()));
  return result;
}

std::unique_ptr<Tokenizer> load_byte_pairs(const json& description, const ModelPart& part,
                                           const std::string& where) {
  const Fields fields(description, where);
  BytePairRules rules;
  rules.cut.compose = fields.boolean("compose");
  for (const json& step : fields.array("steps"))
    rules.cut.steps.push_back(read_step(step, where + ", steps"));
  rules.ignore_merges = fields.boolean("ignore_merges");
  rules.first = read_ids(fields, "first");
  rules.last = read_ids(fields, "last");

  const auto text = values_of<char>(part, pieces_name, StoredType::u8, 1, where);
  const auto ends = values_of<std::int32_t>(part, ends_name, StoredType::i32, 1, where);
  std::vector<std::string> pieces;
  pieces.reserve(ends.size());
  std::int32_t begin = 0;
  for (const std::int32_t end : ends) {
    if (end < begin || static_cast<std::size_t>(end) > text.size())
      throw InputError(fmt::format("{}: piece {} ends at {}, outside of {} to {}", where, pieces.size(), end,
                                   begin, text.size()));
    pieces.emplace_back(text.data() + begin, text.data() + end);
    begin = end;
  }
  for (const json& entry : fields.array("added")) {
    const Fields token(entry, where + ", added");
    const auto id =
        static_cast<std::int32_t>(token.integer("id", 0, static_cast<std::int64_t>(pieces.size()) - 1));
    rules.added.push_back({id, pieces[static_cast<std::size_t>(id)], token.boolean("special"),
                           token.boolean("normalized"), token.boolean("strip_left"),
                           token.boolean("strip_right")});
  }
  static_assert(sizeof(Merge) == 3 * sizeof(std::int32_t));
  const auto ids = values_of<std::int32_t>(part, merges_name, StoredType::i32, 3, where);
  std::vector<Merge> merges(ids.size() / 3);
  for (std::size_t i = 0; i < merges.size(); ++i) merges[i] = {ids[3 * i], ids[3 * i + 1], ids[3 * i + 2]};
  return std::make_unique<BytePairs>(std::move(rules), std::move(pieces), std::move(merges), where);
}

}  // namespace cross::model
