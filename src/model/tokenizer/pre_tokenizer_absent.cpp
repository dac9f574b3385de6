// The same without ICU, for builds on GPU machines that lack it.
#include "cross/error.h"
#include "model/tokenizer/pre_tokenizer.h"

namespace cross::model {

struct PreTokenizer::Compiled {};

PreTokenizer::PreTokenizer(PreTokenizerRules, const std::string&) {
  throw DeviceError(
      "this build has no Unicode tables, which this model's tokeniser needs; install libicu-dev and build "
      "again");
}
PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
std::string PreTokenizer::normalise(std::string_view text) const { return std::string(text); }
void PreTokenizer::cut(std::string_view, const std::function<void(std::string_view)>&) const {}

}  // namespace cross::model
