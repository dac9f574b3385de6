#include <fmt/format.h>

#include "base/json_fields.h"
#include "base/strict_json.h"
#include "cross/decoder.h"
#include "cross/error.h"
#include "cross/tokenizer.h"
#include "model/tokenizer/text_stream.h"
#include "model/tokenizer/tokenizer.h"

namespace cross {

struct Tokenizer::Impl {
  std::unique_ptr<model::Tokenizer> tokenizer;
};

struct Tokenizer::Stream::Impl {
  model::TextStream stream;
};

Tokenizer::Tokenizer(const Plan& plan) : impl_(std::make_unique<Impl>()) {
  if (model_kind(plan) != ModelKind::decoder)
    throw UsageError(fmt::format("the plan holds a {}, which embeds text; only a decoder continues it",
                                 plan.model->architecture));
  const std::string where = "the plan's model";
  const nlohmann::json root = base::parse_strict_json(plan.model->description, where);
  const base::Fields fields(root, where);
  if (!fields.has("tokenizer"))
    throw UsageError(
        "the plan has no tokeniser: the folder that it was compiled from had neither tokenizer.json nor "
        "tokenizer.model");
  impl_->tokenizer = model::load_tokenizer(fields.at("tokenizer"), *plan.model, where + ", tokenizer");
}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  return impl_->tokenizer->encode(text);
}
std::string Tokenizer::decode(std::span<const std::int32_t> ids) const {
  return model::decode(*impl_->tokenizer, ids);
}
std::int64_t Tokenizer::size() const { return impl_->tokenizer->size(); }

Tokenizer::Stream::Stream(const Tokenizer& tokenizer)
    : impl_(new Impl{model::TextStream(*tokenizer.impl_->tokenizer)}) {}
Tokenizer::Stream::~Stream() = default;
Tokenizer::Stream::Stream(Stream&&) noexcept = default;

std::string Tokenizer::Stream::add(std::int32_t id) { return impl_->stream.add(id); }
std::string Tokenizer::Stream::finish() { return impl_->stream.finish(); }

}  // namespace cross
