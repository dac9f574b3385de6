// Tokenisers of decoders: text → token ids → text, whatever the kind.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cross/plan.h"

namespace cross::model {

/// What a plan keeps of a tokeniser: its part of the description, and tensors.
struct StoredTokenizer {
  nlohmann::json description;  ///< "kind", and the rules
  std::vector<PlanTensor> tensors;
};

/// Const access is thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Ids of `text` (UTF-8; ill-formed bytes count as U+FFFD) with the tokens that the model wants in front
  /// and behind.
  virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;

  /// What token `id` adds to the text: bytes, not always whole characters. Empty for ids without a piece.
  virtual std::string bytes_of(std::int32_t id) const = 0;
  /// A token that marks something and is no text: the reference's decoders leave it out.
  virtual bool is_special(std::int32_t id) const = 0;
  /// A space at the very start of decoded text is not part of it.
  virtual bool drops_first_space() const { return false; }

  /// One more than the largest id.
  virtual std::int64_t size() const = 0;

  virtual StoredTokenizer stored() const = 0;
};

/// From a model's folder: `tokenizer.json` if it is a byte-level BPE, else `tokenizer.model` (SentencePiece).
/// Nothing if the folder has neither. InputError that names file, field and what is there for another kind of
/// tokeniser, and for damage.
std::unique_ptr<Tokenizer> read_tokenizer(const std::filesystem::path& folder);

/// From a plan, checked again. `where` starts messages.
std::unique_ptr<Tokenizer> load_tokenizer(const nlohmann::json& description, const ModelPart& part,
                                          const std::string& where);

}  // namespace cross::model
