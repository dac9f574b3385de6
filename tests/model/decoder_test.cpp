// Whole decoders against the reference framework's hidden states and logits (make_fixtures.py).
#include "cross/decoder.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cross/encoder.h"
#include "model/compiled.h"
#include "model/fixtures.h"
#include "refusal.h"
#include "temp_folder.h"

namespace cross {
namespace {

using testing::compile_model;
using testing::relative_error;

/// The reference keeps the logits of every fourth token.
constexpr std::size_t kept_logits = 4;

/// A decoder's folder, put together: several have the weights of one.
class ModelFolder {
 public:
  explicit ModelFolder(const std::string& name) {
    const auto source = testing::fixture("tiny_decoders");
    for (const auto& entry : std::filesystem::directory_iterator(source / name))
      std::filesystem::copy(entry.path(), path() / entry.path().filename());
    if (!std::filesystem::exists(path() / "model.safetensors"))
      std::filesystem::copy(source / "llama3/model.safetensors", path() / "model.safetensors");
  }
  std::filesystem::path path() const { return folder_.path(); }

  /// Changes config.json.
  void change(const std::function<void(nlohmann::json&)>& edit) const {
    auto config = nlohmann::json::parse(testing::read_file(path() / "config.json"));
    edit(config);
    std::ofstream(path() / "config.json") << config.dump();
  }

 private:
  testing::TempFolder folder_;
};

struct Reference {
  explicit Reference(const std::string& name)
      : model(Model::load(testing::fixture("tiny_decoders/" + name + ".safetensors"))) {
    const Tensor* tensor = model.find("ids");
    ids.resize(tensor->bytes.size() / 4);
    std::memcpy(ids.data(), tensor->bytes.data(), tensor->bytes.size());
  }
  /// Empty if it was not kept.
  std::span<const float> values(const std::string& name) const {
    const Tensor* tensor = model.find(name);
    if (tensor == nullptr) return {};
    return {reinterpret_cast<const float*>(tensor->bytes.data()), tensor->bytes.size() / 4};
  }

  Model model;
  std::vector<std::int32_t> ids;
};

/// What a decoder makes of some tokens, `step` at a time.
struct Result {
  std::vector<float> logits;
  std::vector<std::vector<float>> hidden;  ///< per layer, all tokens
};

Result run_in_steps(Decoder& decoder, std::span<const std::int32_t> ids, std::size_t step) {
  const auto vocabulary = static_cast<std::size_t>(decoder.info().vocabulary);
  Result run;
  run.hidden.resize(static_cast<std::size_t>(decoder.info().layers) + 2);
  run.logits.resize(ids.size() * vocabulary);
  decoder.observe([&](std::int64_t layer, std::span<const float> values) {
    auto& all = run.hidden[static_cast<std::size_t>(layer)];
    all.insert(all.end(), values.begin(), values.end());
  });
  DecoderCache cache = decoder.make_cache(static_cast<std::int64_t>(ids.size()));
  for (std::size_t first = 0; first < ids.size(); first += step) {
    const std::size_t count = std::min(step, ids.size() - first);
    const DecoderInput input{ids.subspan(first, count), &cache};
    decoder.run(std::span(&input, 1), Logits::all,
                std::span(run.logits).subspan(first * vocabulary, count * vocabulary));
  }
  EXPECT_EQ(cache.tokens(), static_cast<std::int64_t>(ids.size()));
  decoder.observe({});
  return run;
}

void expect_reference(const Plan& plan, const Reference& reference, std::size_t step, double tolerance) {
  const auto executor = make_thread_executor(2);
  Decoder decoder(plan, *executor);
  const Result run = run_in_steps(decoder, reference.ids, step);
  EXPECT_LT(relative_error(run.hidden[1], reference.values("hidden.1")), tolerance) << "step " << step;
  // The reference's last states are behind the final norm.
  if (const auto last = reference.values("hidden.2"); !last.empty()) {
    EXPECT_LT(relative_error(run.hidden[3], last), tolerance) << "step " << step;
  }
  const auto vocabulary = static_cast<std::size_t>(decoder.info().vocabulary);
  std::vector<float> kept;
  for (std::size_t t = 0; t < reference.ids.size(); t += kept_logits)
    kept.insert(kept.end(), run.logits.begin() + static_cast<std::ptrdiff_t>(t * vocabulary),
                run.logits.begin() + static_cast<std::ptrdiff_t>((t + 1) * vocabulary));
  EXPECT_LT(relative_error(kept, reference.values("logits")), tolerance) << "step " << step;
}

class TinyDecoder : public ::testing::TestWithParam<const char*> {
 protected:
  std::string name() const { return GetParam(); }
};

TEST_P(TinyDecoder, gives_the_reference_states_and_logits_in_fp32) {
  const ModelFolder folder(name());
  const Reference reference(name());
  for (const char* format : {"auto", "dense", "index8", "bitmap", "mixed"})
    expect_reference(compile_model(folder.path(), DType::fp32, format), reference, 64, 1e-5);
}

TEST_P(TinyDecoder, gives_the_reference_states_and_logits_in_bf16) {
  const ModelFolder folder(name());
  const Reference reference(name());
  for (const char* format : {"dense", "index8"})
    expect_reference(compile_model(folder.path(), DType::bf16, format), reference, 64, 0.04);
}

/// As many tokens at once as the caller likes: one by one, in parts, all.
TEST_P(TinyDecoder, gives_the_same_token_by_token) {
  if (name() == "dynamic") GTEST_SKIP() << "its frequencies depend on how long the sequence is so far";
  const ModelFolder folder(name());
  const Reference reference(name());
  const Plan plan = compile_model(folder.path(), DType::fp32, "index8");
  for (const std::size_t step : {1, 2, 7, 33}) expect_reference(plan, reference, step, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(All, TinyDecoder,
                         ::testing::Values("llama", "mistral", "qwen2", "llama3", "linear", "dynamic",
                                           "yarn"),
                         [](const auto& row) { return std::string(row.param); });

TEST(Decoder, of_a_dynamic_scaling_is_the_same_token_by_token_as_far_as_the_model_was_trained) {
  const ModelFolder folder("dynamic");
  const Reference reference("dynamic");
  const Plan plan = compile_model(folder.path(), DType::fp32, "index8");
  const auto executor = make_thread_executor(1);
  Decoder decoder(plan, *executor);
  const auto ids = std::span(reference.ids).first(24);
  const Result whole = run_in_steps(decoder, ids, 24);
  EXPECT_LT(relative_error(run_in_steps(decoder, ids, 1).logits, whole.logits), 1e-5);
}

/// Older files have the scaling and the base apart, and name the kind "type".
TEST(Decoder, reads_both_ways_of_writing_the_rotary_scaling) {
  for (const char* name : {"linear", "llama3", "yarn"}) {
    const ModelFolder folder(name);
    folder.change([](nlohmann::json& config) {
      nlohmann::json scaling = config["rope_parameters"];
      config["rope_theta"] = scaling["rope_theta"];
      scaling["type"] = scaling["rope_type"];
      scaling.erase("rope_theta");
      scaling.erase("rope_type");
      config.erase("rope_parameters");
      config["rope_scaling"] = scaling;
    });
    expect_reference(compile_model(folder.path()), Reference(name), 64, 1e-5);
  }
}

/// llama: tied and with biases everywhere.
class TinyLlama : public ::testing::Test {
 protected:
  std::vector<float> logits_of(Decoder& decoder, std::span<const std::int32_t> ids) const {
    std::vector<float> logits(static_cast<std::size_t>(decoder.info().vocabulary));
    DecoderCache cache = decoder.make_cache(64);
    decoder.run(ids, cache, logits);
    return logits;
  }

  const ModelFolder folder_{"llama"};
  const Reference reference_{"llama"};
  const std::unique_ptr<Executor> executor_ = make_thread_executor(2);
};

TEST_F(TinyLlama, is_the_same_after_a_round_trip_through_a_file) {
  const testing::TempFolder folder;
  const Plan plan = compile_model(folder_.path());
  EXPECT_EQ(plan.layers.size(), 9u);
  EXPECT_EQ(plan.layers[0].parts.size(), 3u);
  EXPECT_EQ(plan.layers.back().parts, std::vector<std::string>{"model.embed_tokens"});
  plan.save(folder.path() / "tiny.plan");
  const Plan loaded = Plan::load(folder.path() / "tiny.plan");
  EXPECT_EQ(loaded.model->architecture, "LlamaForCausalLM");
  EXPECT_EQ(model_kind(loaded), ModelKind::decoder);
  expect_reference(loaded, reference_, 64, 1e-5);
}

TEST_F(TinyLlama, says_what_it_is) {
  const Plan plan = compile_model(folder_.path());
  const Decoder decoder(plan, *executor_);
  const DecoderInfo& info = decoder.info();
  EXPECT_EQ(info.layers, 2);
  EXPECT_EQ(info.hidden, 36);
  EXPECT_EQ(info.heads, 6);
  EXPECT_EQ(info.key_value_heads, 2);
  EXPECT_EQ(info.head_size, 6);
  EXPECT_EQ(info.vocabulary, 43);
  EXPECT_EQ(info.most_tokens, 64);
  EXPECT_TRUE(info.tied_embeddings);
  EXPECT_EQ(info.begin_token, 1);
  EXPECT_EQ(info.end_tokens, (std::vector<std::int32_t>{2, 5}));
}

TEST_F(TinyLlama, generation_config_says_where_texts_end) {
  std::ofstream(folder_.path() / "generation_config.json")
      << R"({"eos_token_id": [7, 8], "bos_token_id": 3})";
  const Plan plan = compile_model(folder_.path());
  const Decoder decoder(plan, *executor_);
  EXPECT_EQ(decoder.info().begin_token, 3);
  EXPECT_EQ(decoder.info().end_tokens, (std::vector<std::int32_t>{7, 8}));
}

/// Sequences of one batch do not see each other, wherever each of them is.
TEST_F(TinyLlama, a_batch_is_its_sequences) {
  const Plan plan = compile_model(folder_.path(), DType::fp32, "index8");
  Decoder decoder(plan, *executor_);
  const auto ids = std::span(reference_.ids);
  const auto a = ids.first(13), b = ids.subspan(5, 20), c = ids.subspan(30, 1);
  const auto vocabulary = static_cast<std::size_t>(decoder.info().vocabulary);
  std::vector<DecoderCache> caches;
  for (int i = 0; i < 3; ++i) caches.push_back(decoder.make_cache(64));
  std::vector<float> first(3 * vocabulary), second(2 * vocabulary);
  decoder.run(
      std::vector<DecoderInput>{{a.first(12), &caches[0]}, {b.first(17), &caches[1]}, {c, &caches[2]}},
      Logits::last, first);
  // One decodes a token while another still reads.
  decoder.run(std::vector<DecoderInput>{{b.subspan(17), &caches[1]}, {a.subspan(12), &caches[0]}},
              Logits::last, second);
  const auto row = [&](std::span<const float> all, std::size_t i) {
    return all.subspan(i * vocabulary, vocabulary);
  };
  EXPECT_LT(relative_error(row(first, 0), logits_of(decoder, a.first(12))), 1e-5);
  EXPECT_LT(relative_error(row(first, 2), logits_of(decoder, c)), 1e-5);
  EXPECT_LT(relative_error(row(second, 0), logits_of(decoder, b)), 1e-5);
  EXPECT_LT(relative_error(row(second, 1), logits_of(decoder, a)), 1e-5);
}

TEST_F(TinyLlama, a_cache_can_be_cut_back) {
  const Plan plan = compile_model(folder_.path(), DType::fp32, "index8");
  Decoder decoder(plan, *executor_);
  const auto ids = std::span(reference_.ids);
  DecoderCache cache = decoder.make_cache(64);
  std::vector<float> logits(43);
  decoder.run(ids.first(40), cache, logits);
  cache.truncate(10);
  EXPECT_EQ(cache.tokens(), 10);
  decoder.run(ids.subspan(10, 5), cache, logits);
  EXPECT_LT(relative_error(logits, logits_of(decoder, ids.first(15))), 1e-5);
  testing::expect_refused<UsageError>([&] { cache.truncate(16); }, {"15 tokens", "cut to 16"});
}

TEST_F(TinyLlama, can_read_tokens_without_giving_logits) {
  const Plan plan = compile_model(folder_.path());
  Decoder decoder(plan, *executor_);
  DecoderCache cache = decoder.make_cache(64);
  const DecoderInput input{std::span(reference_.ids).first(9), &cache};
  decoder.run(std::span(&input, 1), Logits::none, {});
  std::vector<float> logits(43);
  decoder.run(std::span(reference_.ids).subspan(9, 1), cache, logits);
  EXPECT_LT(relative_error(logits, logits_of(decoder, std::span(reference_.ids).first(10))), 1e-5);
  decoder.run({}, Logits::last, {});  // nothing to do
}

TEST_F(TinyLlama, says_which_part_took_how_long) {
  const Plan plan = compile_model(folder_.path());
  Decoder decoder(plan, *executor_);
  logits_of(decoder, reference_.ids);
  for (const PartTime& part : decoder.parts()) EXPECT_GT(part.seconds, 0) << part.name;
  decoder.forget_times();
  for (const PartTime& part : decoder.parts()) EXPECT_EQ(part.seconds, 0) << part.name;
}

TEST_F(TinyLlama, refuses_calls_that_make_no_sense) {
  const Plan plan = compile_model(folder_.path());
  Decoder decoder(plan, *executor_);
  DecoderCache cache = decoder.make_cache(3);
  std::vector<float> logits(43);
  const auto refused = [&](std::vector<std::int32_t> ids, const std::vector<std::string>& words) {
    testing::expect_refused<UsageError>([&] { decoder.run(ids, cache, logits); }, words);
    EXPECT_EQ(cache.tokens(), 0);
  };
  refused({1, 43}, {"token id 43", "vocabulary of 43"});
  refused({-1}, {"token id -1"});
  refused({}, {"sequence 0 has no tokens"});
  refused({1, 2, 3, 4}, {"room for 3 tokens", "4 more"});
  logits.resize(42);
  refused({1}, {"room for 42 logits", "1 x 43"});
  logits.resize(2 * 43);
  testing::expect_refused<UsageError>(
      [&] {
        const std::vector<std::int32_t> ids = {1};
        decoder.run(std::vector<DecoderInput>{{ids, &cache}, {ids, &cache}}, Logits::last, logits);
      },
      {"sequence 1 shares its cache"});
  testing::expect_refused<UsageError>(
      [&] {
        const std::vector<std::int32_t> ids = {1};
        decoder.run(std::vector<DecoderInput>{{ids, nullptr}}, Logits::none, {});
      },
      {"sequence 0 has no cache"});
  testing::expect_refused<UsageError>([&] { decoder.make_cache(0); }, {"a cache for 0 tokens"});
  testing::expect_refused<UsageError>([&] { decoder.set_product_tokens(-1); }, {"-1 tokens"});

  const ModelFolder other("mistral");
  const Plan other_plan = compile_model(other.path());
  Decoder other_decoder(other_plan, *executor_);
  DecoderCache foreign = other_decoder.make_cache(3);
  logits.resize(43);
  testing::expect_refused<UsageError>([&] { decoder.run(std::vector<std::int32_t>{1}, foreign, logits); },
                                      {"another model"});
}

TEST_F(TinyLlama, refuses_plans_of_another_kind) {
  const Plan decoder = compile_model(folder_.path());
  const Plan encoder = compile_model(testing::fixture("tiny_bert"));
  EXPECT_EQ(model_kind(encoder), ModelKind::encoder);
  testing::expect_refused<UsageError>([&] { Decoder(encoder, *executor_); }, {"BertModel", "only a decoder"});
  testing::expect_refused<UsageError>([&] { Encoder(decoder, *executor_); },
                                      {"LlamaForCausalLM", "come from an encoder"});
  Plan layers = decoder;
  layers.model.reset();
  testing::expect_refused<UsageError>([&] { Decoder(layers, *executor_); },
                                      {"layers alone", "cross compile"});
}

/// A model part whose pieces do not fit is refused when the decoder is made, whatever checksums say.
TEST_F(TinyLlama, refuses_plans_whose_model_does_not_fit) {
  const Plan plan = compile_model(folder_.path());
  const auto refused = [&](const std::function<void(Plan&)>& change, const std::vector<std::string>& words) {
    Plan changed = plan;
    change(changed);
    testing::expect_refused<InputError>([&] { Decoder(changed, *executor_); }, words);
  };
  const auto set = [](const char* pointer, const nlohmann::json& value) {
    return [=](Plan& p) {
      auto description = nlohmann::json::parse(p.model->description);
      description[nlohmann::json::json_pointer(pointer)] = value;
      p.model->description = description.dump();
    };
  };
  refused([](Plan& p) { p.model->tensors.pop_back(); }, {"model.norm.weight", "is missing"});
  refused([](Plan& p) { p.model->tensors[0].shape[0] -= 1; }, {"input_layernorm", "[35]", "[36]"});
  refused([](Plan& p) { p.layers.pop_back(); }, {"lm_head", "which its model needs"});
  refused(set("/config/intermediate", 25), {"gate_up_proj", "52x36", "50x36"});
  refused(set("/config/key_value_heads", 4), {"\"key_value_heads\" is 4", "divisor"});
  refused(set("/config/key_value_heads", 7), {"\"key_value_heads\" is 7"});
  refused(set("/config/head_size", 7), {"\"head_size\" is 7", "even"});
  refused(set("/config/layers", 0), {"\"layers\" is 0"});
  refused(set("/config/tied", 0), {"\"tied\" is 0"});
  refused(set("/config/tied", false), {"embed_tokens", "is missing"});
  refused(set("/config/sliding", {true}), {"\"sliding\"", "2 layers"});
  refused(set("/config/window", -1), {"\"window\" is -1"});
  refused(set("/config/end_tokens", {43}), {"\"end_tokens\"", "43"});
  refused(set("/config/begin_token", 43), {"\"begin_token\" is 43"});
  refused(set("/config/epsilon", 2), {"\"epsilon\" is 2"});
  refused(set("/config/rotary/rope_type", "longrope"), {"longrope", "not supported"});
  refused(set("/config/rotary/rope_theta", -1), {"\"rope_theta\" is -1"});
  refused(set("/config/rotary/factor", 0), {"\"factor\" is 0"});
}

/// One mistake in config.json at a time.
TEST_F(TinyLlama, says_what_is_wrong_with_config_json) {
  const auto refused = [&](const char* name, const std::function<void(nlohmann::json&)>& edit,
                           std::vector<std::string> words) {
    const ModelFolder folder(name);
    folder.change(edit);
    words.push_back("config.json");
    testing::expect_refused<InputError>([&] { compile_model(folder.path()); }, words);
  };
  const auto set = [](const char* pointer, const nlohmann::json& value) {
    return [=](nlohmann::json& config) { config[nlohmann::json::json_pointer(pointer)] = value; };
  };
  const auto without = [](const char* field) { return [=](nlohmann::json& config) { config.erase(field); }; };
  for (const char* field : {"num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
                            "vocab_size", "max_position_embeddings", "rms_norm_eps", "hidden_act"})
    refused("llama", without(field), {"\"" + std::string(field) + "\" is missing"});
  refused("llama", set("/architectures/0", "GPT2LMHeadModel"), {"\"GPT2LMHeadModel\"", "LlamaForCausalLM"});
  refused("llama", set("/hidden_size", "36"), {"\"hidden_size\" is \"36\"", "an integer"});
  refused("llama", set("/num_key_value_heads", 4), {"\"num_key_value_heads\" is 4", "divisor of the 6"});
  refused("llama", set("/num_key_value_heads", 12), {"\"num_key_value_heads\" is 12"});
  refused("llama", set("/head_dim", 7), {"\"head_dim\" is 7", "even"});
  refused("llama", set("/head_dim", 2048), {"\"head_dim\" is 2048"});
  refused("llama", set("/hidden_act", "gelu"), {"\"hidden_act\" is \"gelu\"", "silu"});
  refused("llama", set("/rms_norm_eps", -1), {"\"rms_norm_eps\" is -1"});
  refused("llama", set("/eos_token_id", "</s>"), {"\"eos_token_id\"", "token id below 43"});
  refused("llama", set("/eos_token_id", {1, 43}), {"\"eos_token_id\""});
  refused("llama", set("/bos_token_id", -3), {"\"bos_token_id\" is -3"});
  refused("llama", set("/partial_rotary_factor", 0.5), {"\"partial_rotary_factor\" is 0.5"});
  refused("mistral", set("/sliding_window", 0), {"\"sliding_window\" is 0"});
  refused("qwen2", set("/layer_types", {"full_attention"}), {"\"layer_types\"", "2 layers"});
  refused("qwen2", set("/layer_types/0", "chunked_attention"), {"chunked_attention", "sliding_attention"});
  refused("qwen2", set("/use_sliding_window", "yes"), {"\"use_sliding_window\" is \"yes\""});
  const std::string rope = "/rope_parameters/";
  for (const char* kind : {"longrope", "proportional", "su", "mrope"})
    refused("linear", set("/rope_parameters/rope_type", kind), {kind, "not supported", "rope_parameters"});
  refused("linear", set("/rope_parameters/factor", 0.5), {"\"factor\" is 0.5", "1 or more"});
  refused("linear", set("/rope_parameters/factor", "4"), {"\"factor\" is \"4\"", "a number"});
  refused("linear", set("/rope_parameters/rope_theta", 0), {"\"rope_theta\" is 0"});
  refused("linear", [](nlohmann::json& c) { c["rope_parameters"].erase("factor"); },
          {"\"factor\" is missing"});
  refused("linear", set("/rope_parameters/full_attention", nlohmann::json::object()), {"full_attention"});
  refused("llama3", [](nlohmann::json& c) { c["rope_parameters"].erase("low_freq_factor"); },
          {"\"low_freq_factor\" is missing"});
  refused("llama3", set("/rope_parameters/high_freq_factor", 1),
          {"\"high_freq_factor\" is 1", "low_freq_factor"});
  refused("yarn", set("/rope_parameters/beta_fast", -1), {"\"beta_fast\" is -1"});
  refused("yarn", set("/rope_parameters/original_max_position_embeddings", 0),
          {"\"original_max_position_embeddings\" is 0"});
}

TEST_F(TinyLlama, says_which_tensors_do_not_fit_config_json) {
  const auto refused = [&](const char* name, const char* field, const nlohmann::json& value,
                           const std::vector<std::string>& words) {
    const ModelFolder folder(name);
    folder.change([&](nlohmann::json& config) { config[field] = value; });
    testing::expect_refused<InputError>([&] { compile_model(folder.path()); }, words);
  };
  refused("llama", "num_hidden_layers", 3, {"model.layers.2.self_attn.q_proj.weight", "is missing"});
  refused("llama", "intermediate_size", 27, {"gate_proj.weight", "[26, 36]", "[27, 36]"});
  refused("llama", "tie_word_embeddings", false, {"lm_head.weight", "is missing"});
  refused("llama", "attention_bias", false, {"q_proj.bias", "is there", "no bias"});
  refused("mistral", "head_dim", 8, {"q_proj.weight", "[36, 36]", "[48, 36]"});
  refused("llama3", "attention_bias", true, {"q_proj.bias", "is missing"});
}

}  // namespace
}  // namespace cross
