// The model plan of a folder: which layers, and everything beside them.
#include <fmt/format.h>

#include <cstring>

#include "base/quote.h"
#include "cross/error.h"
#include "model/bert/bert.h"
#include "model/bert/config.h"
#include "model/bert/names.h"
#include "model/tokenizer/read_word_piece.h"

namespace cross::model::bert {
namespace {

class Builder {
 public:
  Builder(const Model& model, const Config& config, DType dtype)
      : model_(model), config_(config), dtype_(dtype) {
    // Models with a head on top keep the encoder under "bert."
    if (model.find(word_table) == nullptr && model.find(std::string("bert.") + word_table) != nullptr)
      prefix_ = "bert.";
  }

  Blueprint build() {
    table(word_table, config_.vocabulary);
    table(position_table, config_.positions);
    table(type_table, config_.types);
    norm(embedding_norm);
    for (std::int64_t i = 0; i < config_.layers; ++i) {
      const std::int64_t hidden = config_.hidden, inner = config_.intermediate;
      layer(in_layer(i, query_key_value),
            {in_layer(i, "attention.self.query"), in_layer(i, "attention.self.key"),
             in_layer(i, "attention.self.value")},
            hidden, hidden);
      layer(in_layer(i, attention_output), {in_layer(i, attention_output)}, hidden, hidden);
      layer(in_layer(i, feed_forward_up), {in_layer(i, feed_forward_up)}, inner, hidden);
      layer(in_layer(i, feed_forward_down), {in_layer(i, feed_forward_down)}, hidden, inner);
      norm(in_layer(i, attention_norm));
      norm(in_layer(i, output_norm));
    }
    const WordPiece tokenizer = read_word_piece(model_.path());
    if (static_cast<std::int64_t>(tokenizer.vocabulary().size()) > config_.vocabulary)
      throw InputError(fmt::format("{}: the tokeniser has {} tokens, \"vocab_size\" in config.json is {}",
                                   model_.path().string(), tokenizer.vocabulary().size(),
                                   config_.vocabulary));
    const std::string text = vocabulary_text(tokenizer);
    std::vector<std::byte> bytes(text.size());
    std::memcpy(bytes.data(), text.data(), text.size());
    const auto size = static_cast<std::int64_t>(bytes.size());
    add(vocabulary, StoredType::u8, {size}, std::move(bytes));
    blueprint_.part.description =
        nlohmann::json{{"config", describe(config_)}, {"tokenizer", describe(tokenizer.rules())}}.dump();
    return std::move(blueprint_);
  }

 private:
  const Tensor& require(const std::string& name, const std::vector<std::int64_t>& shape) const {
    const std::string full = prefix_ + name;
    const Tensor* tensor = model_.find(full);
    if (tensor == nullptr)
      throw InputError(fmt::format("{}: tensor {} is missing; config.json names an architecture that has it",
                                   model_.path().string(), base::in_quotes(full)));
    if (tensor->shape != shape || !weight_dtype(tensor->type))
      throw InputError(fmt::format("{}: tensor {} is {} [{}]; config.json wants F32, F16 or BF16 [{}]",
                                   tensor->file.string(), base::in_quotes(full), name_of(tensor->type),
                                   fmt::join(tensor->shape, ", "), fmt::join(shape, ", ")));
    return *tensor;
  }

  void add(const std::string& name, StoredType type, std::vector<std::int64_t> shape,
           std::vector<std::byte> bytes) {
    blueprint_.part.tensors.push_back({name, type, std::move(shape), Blob::own(std::move(bytes))});
  }

  /// The values of a tensor in another type.
  static std::vector<std::byte> converted(const Tensor& tensor, DType to) {
    const DType from = *weight_dtype(tensor.type);
    if (from == to) return {tensor.bytes.begin(), tensor.bytes.end()};
    const auto count = static_cast<std::int64_t>(tensor.bytes.size() / size_of(from));
    const MatrixView values{from, 1, count, tensor.bytes.data()};
    std::vector<std::byte> bytes(static_cast<std::size_t>(count) * size_of(to));
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint32_t bits = bits_from_float(values.value(0, i), to);
      std::memcpy(bytes.data() + static_cast<std::size_t>(i) * size_of(to), &bits, size_of(to));
    }
    return bytes;
  }

  /// Rows that are looked up, in the plan's dtype: they are most of a small model's bytes.
  void table(const char* name, std::int64_t rows) {
    const Tensor& tensor = require(name, {rows, config_.hidden});
    add(name, dtype_ == DType::fp32 ? StoredType::f32 : StoredType::bf16, tensor.shape,
        converted(tensor, dtype_));
    model_.release(tensor);
  }

  /// Scale and shift; old checkpoints call them gamma and beta.
  void norm(const std::string& name) {
    const bool old = model_.find(prefix_ + name + ".weight") == nullptr &&
                     model_.find(prefix_ + name + ".gamma") != nullptr;
    add(name + ".weight", StoredType::f32, {config_.hidden},
        converted(require(name + (old ? ".gamma" : ".weight"), {config_.hidden}), DType::fp32));
    add(name + ".bias", StoredType::f32, {config_.hidden},
        converted(require(name + (old ? ".beta" : ".bias"), {config_.hidden}), DType::fp32));
  }

  void layer(const std::string& name, std::vector<std::string> parts, std::int64_t rows, std::int64_t cols) {
    for (std::string& part : parts) {
      require(part + ".weight", {rows, cols});
      require(part + ".bias", {rows});
      part = prefix_ + part;
    }
    blueprint_.layers.push_back({name, std::move(parts)});
  }

  const Model& model_;
  const Config& config_;
  DType dtype_;
  std::string prefix_;
  Blueprint blueprint_;
};

}  // namespace

Blueprint make_blueprint(const Model& model, const nlohmann::json& config_json, DType dtype) {
  const Config config = read_config(config_json, model.path());
  return Builder(model, config, dtype).build();
}

}  // namespace cross::model::bert
