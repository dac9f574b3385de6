// Whole encoders against the reference framework's hidden states and embeddings (make_fixtures.py).
#include "cross/encoder.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "model/compiled.h"
#include "model/fixtures.h"
#include "refusal.h"
#include "temp_folder.h"

namespace cross {
namespace {

using testing::compile_model;
using testing::fixture;
using testing::relative_error;

/// tiny_bert and what the reference makes of some sentences.
class TinyBert : public ::testing::Test {
 protected:
  std::span<const float> expected(const std::string& name) const {
    const Tensor* tensor = reference_.find(name);
    EXPECT_NE(tensor, nullptr) << name;
    return {reinterpret_cast<const float*>(tensor->bytes.data()), tensor->bytes.size() / 4};
  }

  /// All sentences as one batch, and each alone.
  void expect_reference(const Plan& plan, double tolerance) const {
    const auto executor = make_thread_executor(2);
    Encoder encoder(plan, *executor);
    const auto hidden = static_cast<std::size_t>(encoder.info().hidden);
    std::vector<TokenBatch> batches(1);
    for (const std::string& text : texts_) {
      batches.front().add(encoder.tokenize(text));
      batches.emplace_back().add(encoder.tokenize(text));
    }
    for (std::size_t b = 0; b < batches.size(); ++b) {
      const TokenBatch& batch = batches[b];
      std::vector<std::vector<float>> states;
      encoder.observe([&](std::int64_t, std::span<const float> values) {
        states.emplace_back(values.begin(), values.end());
      });
      std::vector<float> embeddings(batch.sentences() * hidden);
      encoder.embed(batch, embeddings);
      ASSERT_EQ(states.size(), 3u);
      for (std::size_t s = 0; s < batch.sentences(); ++s) {
        const std::size_t text = b == 0 ? s : b - 1;
        for (std::size_t layer = 0; layer < states.size(); ++layer) {
          const auto first = static_cast<std::size_t>(batch.offsets[s]) * hidden;
          const auto count = static_cast<std::size_t>(batch.tokens(s)) * hidden;
          EXPECT_LT(relative_error(std::span(states[layer]).subspan(first, count),
                                   expected("hidden." + std::to_string(text) + "." + std::to_string(layer))),
                    tolerance)
              << "batch " << b << ", text " << text << ", layer " << layer;
        }
        EXPECT_LT(relative_error(std::span(embeddings).subspan(s * hidden, hidden),
                                 expected("embedding." + std::to_string(text))),
                  tolerance);
      }
    }
  }

  const Model reference_ = Model::load(fixture("tiny_bert.safetensors"));
  const std::vector<std::string> texts_ = nlohmann::json::parse(reference_.metadata().at("texts"));
};

TEST_F(TinyBert, gives_the_reference_token_ids) {
  const Plan plan = compile_model(fixture("tiny_bert"));
  const auto executor = make_thread_executor(1);
  const Encoder encoder(plan, *executor);
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    const Tensor* tensor = reference_.find("ids." + std::to_string(i));
    ASSERT_NE(tensor, nullptr);
    std::vector<std::int32_t> ids(tensor->bytes.size() / 4);
    std::memcpy(ids.data(), tensor->bytes.data(), tensor->bytes.size());
    EXPECT_EQ(encoder.tokenize(texts_[i]), ids) << texts_[i];
  }
}

TEST_F(TinyBert, gives_the_reference_hidden_states_in_fp32) {
  for (const char* format : {"auto", "dense", "index8", "bitmap", "mixed"})
    expect_reference(compile_model(fixture("tiny_bert"), DType::fp32, format), 1e-5);
}

TEST_F(TinyBert, gives_the_reference_hidden_states_in_bf16) {
  for (const char* format : {"dense", "index8"})
    expect_reference(compile_model(fixture("tiny_bert"), DType::bf16, format), 0.04);
}

TEST_F(TinyBert, is_the_same_after_a_round_trip_through_a_file) {
  const testing::TempFolder folder;
  const Plan plan = compile_model(fixture("tiny_bert"));
  plan.save(folder.path() / "tiny.plan");
  const Plan loaded = Plan::load(folder.path() / "tiny.plan");
  ASSERT_TRUE(loaded.model);
  EXPECT_EQ(loaded.model->architecture, "BertModel");
  EXPECT_EQ(loaded.layers.size(), 8u);
  EXPECT_EQ(loaded.layers[0].parts.size(), 3u);
  expect_reference(loaded, 1e-5);
  loaded.save(folder.path() / "again.plan");
  EXPECT_EQ(testing::read_file(folder.path() / "again.plan"),
            testing::read_file(folder.path() / "tiny.plan"));
}

TEST_F(TinyBert, does_not_depend_on_the_batch_or_on_slices) {
  const Plan plan = compile_model(fixture("tiny_bert"), DType::fp32, "index8");
  const auto executor = make_thread_executor(2);
  Encoder encoder(plan, *executor);
  const std::vector<float> one = encoder.embed(texts_, 1);
  EXPECT_LT(relative_error(encoder.embed(texts_, 32), one), 1e-5);
  for (const std::int64_t tokens : {0, 1, 7, 64}) {
    encoder.set_product_tokens(tokens);
    // In the larger batch attention begins before the last slice.
    for (const std::size_t sentences : {4, 32})
      EXPECT_LT(relative_error(encoder.embed(texts_, sentences), one), 1e-5) << tokens << ", " << sentences;
  }
  EXPECT_EQ(encoder.info().pooling, Pooling::mean);
  EXPECT_TRUE(encoder.info().normalised);
  EXPECT_EQ(encoder.info().most_tokens, 32);
}

TEST_F(TinyBert, says_which_part_took_how_long) {
  const Plan plan = compile_model(fixture("tiny_bert"));
  const auto executor = make_thread_executor(1);
  Encoder encoder(plan, *executor);
  encoder.embed(texts_);
  for (const PartTime& part : encoder.parts()) EXPECT_GT(part.seconds, 0) << part.name;
  encoder.forget_times();
  for (const PartTime& part : encoder.parts()) EXPECT_EQ(part.seconds, 0) << part.name;
}

TEST_F(TinyBert, refuses_calls_that_make_no_sense) {
  const Plan plan = compile_model(fixture("tiny_bert"));
  const auto executor = make_thread_executor(1);
  Encoder encoder(plan, *executor);
  std::vector<float> room(36);
  const auto embed = [&](std::vector<std::int32_t> ids) {
    TokenBatch batch;
    batch.add(ids);
    encoder.embed(batch, room);
  };
  testing::expect_refused<UsageError>([&] { embed({2, 211}); }, {"token id 211", "vocabulary of 211"});
  testing::expect_refused<UsageError>([&] { embed({-1}); }, {"token id -1"});
  testing::expect_refused<UsageError>([&] { embed({}); }, {"sentence 0 has 0 tokens"});
  testing::expect_refused<UsageError>([&] { embed(std::vector<std::int32_t>(33, 2)); },
                                      {"33 tokens", "1 to 32"});
  room.resize(35);
  testing::expect_refused<UsageError>([&] { embed({2}); }, {"room for 35 values"});
  testing::expect_refused<UsageError>([&] { encoder.embed(texts_, 0); }, {"at least one sentence"});
  Plan layers = plan;
  layers.model.reset();
  testing::expect_refused<UsageError>([&] { Encoder(layers, *executor); }, {"layers alone", "cross compile"});
}

/// A model part whose pieces do not fit is refused when the encoder is made, whatever checksums say.
TEST_F(TinyBert, refuses_plans_whose_model_does_not_fit) {
  const Plan plan = compile_model(fixture("tiny_bert"));
  const auto executor = make_thread_executor(1);
  const auto refused = [&](const std::function<void(Plan&)>& change, const std::vector<std::string>& words) {
    Plan changed = plan;
    change(changed);
    testing::expect_refused<InputError>([&] { Encoder(changed, *executor); }, words);
  };
  const auto set = [](const char* pointer, const nlohmann::json& value) {
    return [=](Plan& p) {
      auto description = nlohmann::json::parse(p.model->description);
      description[nlohmann::json::json_pointer(pointer)] = value;
      p.model->description = description.dump();
    };
  };
  refused([](Plan& p) { p.model->architecture = "GPT2Model"; }, {"\"GPT2Model\"", "BertModel"});
  refused([](Plan& p) { p.model->tensors.erase(p.model->tensors.begin()); },
          {"word_embeddings", "is missing"});
  refused([](Plan& p) { p.model->tensors[0].shape[0] -= 1; }, {"word_embeddings", "[210, 36]", "[211, 36]"});
  refused(
      [](Plan& p) { p.model->tensors.back().data = Blob::own(std::vector<std::byte>(300, std::byte{'\n'})); },
      {"300 pieces", "211 rows"});
  refused([](Plan& p) { p.layers.erase(p.layers.begin() + 1); },
          {"attention.output.dense", "which its model needs"});
  refused(set("/config/intermediate", 71), {"intermediate.dense", "70x36", "71x36"});
  refused(set("/config/heads", 5), {"\"heads\" is 5", "divisor"});
  refused(set("/config/layers", 0), {"\"layers\" is 0"});
  refused(set("/config/most_tokens", 41), {"\"most_tokens\" is 41"});
  refused(set("/config/pooling", "max"), {"\"pooling\" is \"max\""});
  refused(set("/tokenizer/kind", "BPE"), {"\"kind\" is \"BPE\""});
  refused(set("/tokenizer/first", "<s>"), {"lacks \"<s>\""});
}

}  // namespace
}  // namespace cross
