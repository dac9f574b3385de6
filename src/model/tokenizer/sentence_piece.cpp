#include "model/tokenizer/sentence_piece.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <charconv>

#include "cross/error.h"
#include "model/tokenizer/sentence_piece_file.h"
#include "model/tokenizer/unicode.h"

namespace cross::model {
namespace {

constexpr std::string_view space = "\xE2\x96\x81";  // ▁, which stands for a space in pieces

class SentencePiece final : public Tokenizer {
 public:
  SentencePiece(std::string_view model, SentencePieceRules rules, const std::string& where)
      : rules_(rules), model_(model), file_(check_sentence_piece_file(model, where)) {
    if (const std::string error = load(); !error.empty())
      throw InputError(fmt::format("{}: is no SentencePiece model that its library takes: {}", where, error));
    const auto require = [&](bool wanted, std::int32_t id, const char* what) {
      if (wanted && (id < 0 || id >= size()))
        throw InputError(fmt::format(
            "{}: has no token for the {} of a text, which tokenizer_config.json wants", where, what));
    };
    require(rules_.add_first, library_.bos_id(), "start");
    require(rules_.add_last, library_.eos_id(), "end");
  }

  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::string well_formed;
    if (first_ill_formed(text) != std::string_view::npos) {
      for (const char32_t c : decode_utf8(text)) append_utf8(well_formed, c);
      text = well_formed;
    }
    std::vector<int> found;
    const auto status = library_.Encode(text, &found);
    if (!status.ok())
      throw InputError(fmt::format("SentencePiece cannot tokenise this text: {}", status.error_message()));
    std::vector<std::int32_t> ids;
    ids.reserve(found.size() + 2);
    if (rules_.add_first) ids.push_back(library_.bos_id());
    ids.insert(ids.end(), found.begin(), found.end());
    if (rules_.add_last) ids.push_back(library_.eos_id());
    return ids;
  }

  std::string bytes_of(std::int32_t id) const override {
    if (id < 0 || id >= size() || is_special(id)) return {};
    const std::string& piece = library_.IdToPiece(id);
    if (library_.IsByte(id)) {  // <0x2E>
      int byte = 0;
      if (piece.size() == 6) std::from_chars(piece.data() + 3, piece.data() + 5, byte, 16);
      return std::string(1, static_cast<char>(byte));
    }
    std::string text;
    for (std::size_t at = 0; at < piece.size();) {
      const bool is_space = std::string_view(piece).substr(at).starts_with(space);
      text += is_space ? ' ' : piece[at];
      at += is_space ? space.size() : 1;
    }
    return text;
  }

  bool is_special(std::int32_t id) const override {
    return id >= 0 && id < size() && (library_.IsControl(id) || library_.IsUnknown(id));
  }
  bool drops_first_space() const override { return file_.drops_first_space; }
  std::int64_t size() const override { return library_.GetPieceSize(); }
  StoredTokenizer stored() const override { return store_sentence_piece(model_, rules_); }

 private:
  /// What the library says against the model. Some of it comes as exceptions, of its trie.
  std::string load() {
    try {
      const auto status = library_.LoadFromSerializedProto(model_);
      return status.ok() ? std::string() : status.ToString();
    } catch (const std::exception& error) {
      return error.what();
    }
  }

  SentencePieceRules rules_;
  std::string model_;
  SentencePieceFile file_;
  sentencepiece::SentencePieceProcessor library_;
};

}  // namespace

bool has_sentence_piece() { return true; }

std::unique_ptr<Tokenizer> make_sentence_piece(std::string_view model, SentencePieceRules rules,
                                               const std::string& where) {
  return std::make_unique<SentencePiece>(model, rules, where);
}

}  // namespace cross::model
