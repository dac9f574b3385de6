// A tiny decoder with its tokeniser, from folder to text, against the reference framework (tiny_story of
// make_tokenizer_fixtures.py).
#include "cross/generate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cross/evaluate_decoder.h"
#include "driver/perplexity.h"
#include "model/compiled.h"
#include "model/fixtures.h"
#include "refusal.h"
#include "temp_folder.h"

namespace cross {
namespace {

using nlohmann::json;
using testing::compile_model;
using testing::fixture;
using Ids = std::vector<std::int32_t>;

class TinyStory : public ::testing::Test {
 protected:
  Generation write(const std::string& prompt, const GenerateOptions& options) {
    return generate(decoder_, tokenizer_, prompt, options);
  }

  const json story_ = json::parse(testing::read_file(fixture("tiny_story.json")));
  const Plan plan_ = compile_model(fixture("tiny_story"));
  const std::unique_ptr<Executor> executor_ = make_thread_executor(2);
  const Tokenizer tokenizer_{plan_};
  Decoder decoder_{plan_, *executor_};
};

TEST_F(TinyStory, is_the_one_that_the_reference_writes) {
  for (std::size_t i = 0; i < story_["prompts"].size(); ++i) {
    std::string streamed;
    GenerateOptions options;
    options.max_tokens = 20;
    options.on_text = [&](std::string_view text) { return streamed += text, true; };
    const Generation result = write(story_["prompts"][i], options);
    EXPECT_EQ(result.tokens, story_["ids"][i].get<Ids>()) << i;
    EXPECT_EQ(result.text, story_["texts"][i].get<std::string>()) << i;
    EXPECT_EQ(streamed, result.text);
    EXPECT_EQ(result.prompt, tokenizer_.encode(story_["prompts"][i].get<std::string>()));
    EXPECT_EQ(result.end, result.tokens.size() < 20 ? GenerationEnd::end_token : GenerationEnd::max_tokens);
    EXPECT_GT(result.prefill_seconds, 0);
  }
}

TEST_F(TinyStory, is_the_same_from_a_file) {
  const testing::TempFolder folder;
  plan_.save(folder.path() / "story.plan");
  const Plan loaded = Plan::load(folder.path() / "story.plan");
  const Tokenizer tokenizer(loaded);
  Decoder decoder(loaded, *executor_);
  GenerateOptions options;
  options.max_tokens = 20;
  EXPECT_EQ(generate(decoder, tokenizer, story_["prompts"][0].get<std::string>(), options).tokens,
            story_["ids"][0].get<Ids>());
}

TEST_F(TinyStory, ends_where_the_longest_sequence_does) {
  GenerateOptions options;
  options.max_tokens = 1000;
  const Generation result = write("", options);
  EXPECT_EQ(result.end, GenerationEnd::longest_sequence);
  EXPECT_EQ(result.prompt.size() + result.tokens.size(), 64u);
}

TEST_F(TinyStory, ends_when_the_caller_has_enough) {
  GenerateOptions options;
  int calls = 0;
  options.on_text = [&](std::string_view) { return ++calls < 3; };
  const Generation result = write("", options);
  EXPECT_EQ(result.end, GenerationEnd::caller);
  EXPECT_EQ(calls, 3);
}

TEST_F(TinyStory, depends_on_the_seed_only) {
  GenerateOptions options;
  options.max_tokens = 15;
  options.sampling = {.temperature = 1.5, .top_k = 50, .top_p = 0.95, .seed = 4};
  const Generation once = write("The", options), again = write("The", options);
  EXPECT_EQ(once.tokens, again.tokens);
  options.sampling.seed = 5;
  EXPECT_NE(write("The", options).tokens, once.tokens);
}

TEST_F(TinyStory, refuses_prompts_and_counts_that_make_no_sense) {
  GenerateOptions options;
  options.max_tokens = 0;
  testing::expect_refused<UsageError>([&] { write("a", options); }, {"0 new tokens"});
  std::string digits;
  for (int i = 0; i < 100; ++i) digits += "a1";
  testing::expect_refused<UsageError>([&] { write(digits, {}); }, {"tokens", "longest sequence is 64"});
}

TEST_F(TinyStory, needs_a_tokeniser_in_the_plan) {
  const Plan silent = compile_model(fixture("tiny_decoders/llama"));
  testing::expect_refused<UsageError>([&] { Tokenizer tokenizer(silent); },
                                      {"no tokeniser", "tokenizer.json", "tokenizer.model"});
  const Plan encoder = compile_model(fixture("tiny_bert"));
  testing::expect_refused<UsageError>([&] { Tokenizer tokenizer(encoder); }, {"BertModel", "embeds text"});
}

TEST_F(TinyStory, must_fit_its_tokeniser) {
  Plan changed = plan_;
  auto description = json::parse(changed.model->description);
  description["tokenizer"]["last"] = {99999};
  changed.model->description = description.dump();
  testing::expect_refused<InputError>([&] { Tokenizer tokenizer(changed); },
                                      {"the plan's model, tokenizer", "the id 99999"});
}

TEST_F(TinyStory, has_the_perplexity_of_the_reference) {
  DecoderEvaluationOptions options;
  options.threads = 2;
  options.window = story_["window"];
  const DecoderEvaluation result =
      evaluate_decoder(plan_, Model::load(fixture("tiny_story")), story_["text"].get<std::string>(), options);
  EXPECT_EQ(result.tokens, story_["tokens"]);
  EXPECT_EQ(result.stride, story_["stride"]);
  const double expected = std::exp(story_["nll"].get<double>());
  EXPECT_NEAR(result.reference.perplexity / expected, 1, 1e-4);
  EXPECT_NEAR(result.plan.perplexity / expected, 1, 1e-4);
  EXPECT_GT(result.plan.prefill_tokens_per_s, 0);
  EXPECT_GT(result.plan.decode_tokens_per_s, 0);
  EXPECT_GT(result.plan.bytes, 0u);
}

TEST_F(TinyStory, is_predicted_once_per_token_whatever_the_windows) {
  const Ids ids = tokenizer_.encode(story_["text"].get<std::string>());
  for (const auto& [window, stride] :
       {std::pair{64, 63}, std::pair{2, 1}, std::pair{10, 3}, std::pair{60, 1}}) {
    const driver::Predictions predictions = driver::predict(decoder_, ids, window, stride);
    EXPECT_EQ(predictions.predicted, static_cast<std::int64_t>(ids.size()) - 1);
    EXPECT_TRUE(std::isfinite(predictions.loss));
  }
  const driver::Predictions least = driver::predict(decoder_, std::span(ids).first(2), 64, 32);
  EXPECT_EQ(least.predicted, 1);
  EXPECT_EQ(least.read, 1);
}

TEST_F(TinyStory, refuses_evaluations_that_make_no_sense) {
  const Model reference = Model::load(fixture("tiny_story"));
  const auto refused = [&](std::string_view text, std::int64_t window, std::int64_t stride,
                           const std::vector<std::string>& words) {
    DecoderEvaluationOptions options;
    options.window = window;
    options.stride = stride;
    testing::expect_refused<UsageError>([&] { evaluate_decoder(plan_, reference, text, options); }, words);
  };
  refused("", 0, 0, {"the text has 1 tokens"});
  refused("the cat", 65, 0, {"window of 65", "2 to 64"});
  refused("the cat", 1, 0, {"window of 1"});
  refused("the cat", 8, 8, {"stride of 8", "1 to 7"});
  refused("the cat", 0, -1, {"stride of -1"});
}

}  // namespace
}  // namespace cross
