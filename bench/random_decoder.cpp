// random_decoder: writes a Hugging Face folder with a Llama of any shape and random bf16 weights, to be
// pruned and measured. By default the shape of Llama-3.2-1B.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace {

using json = nlohmann::ordered_json;

struct Shape {
  std::int64_t layers = 16, hidden = 2048, heads = 32, key_value_heads = 8, head_size = 64;
  std::int64_t intermediate = 8192, vocabulary = 128256;
  bool untied = false;
};

struct Tensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::uint64_t values() const {
    std::uint64_t count = 1;
    for (const std::int64_t extent : shape) count *= static_cast<std::uint64_t>(extent);
    return count;
  }
};

std::vector<Tensor> tensors_of(const Shape& s) {
  const std::int64_t queries = s.heads * s.head_size, kept = s.key_value_heads * s.head_size;
  std::vector<Tensor> tensors = {{"model.embed_tokens.weight", {s.vocabulary, s.hidden}}};
  for (std::int64_t i = 0; i < s.layers; ++i) {
    const auto add = [&](const char* name, std::vector<std::int64_t> shape) {
      tensors.push_back({fmt::format("model.layers.{}.{}.weight", i, name), std::move(shape)});
    };
    add("input_layernorm", {s.hidden});
    add("self_attn.q_proj", {queries, s.hidden});
    add("self_attn.k_proj", {kept, s.hidden});
    add("self_attn.v_proj", {kept, s.hidden});
    add("self_attn.o_proj", {s.hidden, queries});
    add("post_attention_layernorm", {s.hidden});
    add("mlp.gate_proj", {s.intermediate, s.hidden});
    add("mlp.up_proj", {s.intermediate, s.hidden});
    add("mlp.down_proj", {s.hidden, s.intermediate});
  }
  tensors.push_back({"model.norm.weight", {s.hidden}});
  if (s.untied) tensors.push_back({"lm_head.weight", {s.vocabulary, s.hidden}});
  return tensors;
}

json config_of(const Shape& s) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"hidden_size", s.hidden},
          {"intermediate_size", s.intermediate},
          {"num_hidden_layers", s.layers},
          {"num_attention_heads", s.heads},
          {"num_key_value_heads", s.key_value_heads},
          {"head_dim", s.head_size},
          {"vocab_size", s.vocabulary},
          {"max_position_embeddings", 131072},
          {"rms_norm_eps", 1e-5},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", !s.untied},
          {"rope_theta", 500000.0},
          {"rope_scaling",
           {{"rope_type", "llama3"},
            {"factor", 32.0},
            {"low_freq_factor", 1.0},
            {"high_freq_factor", 4.0},
            {"original_max_position_embeddings", 8192}}}};
}

/// bf16 bits of a value about normal with deviation 0.02: the sum of four uniform 16-bit integers.
std::uint16_t weight(std::uint64_t draw) {
  std::int32_t sum = -2 * 65535;
  for (int i = 0; i < 4; ++i) sum += static_cast<std::int32_t>(draw >> (16 * i) & 0xffff);
  const float value = static_cast<float>(sum) * (0.02f / 37837.0f);
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void write_weights(std::ostream& file, const Shape& shape, std::uint64_t seed) {
  const std::vector<Tensor> tensors = tensors_of(shape);
  json header = {{"__metadata__", {{"format", "pt"}}}};
  std::uint64_t end = 0;
  for (const Tensor& tensor : tensors) {
    const std::uint64_t begin = end;
    end += 2 * tensor.values();
    header[tensor.name] = {{"dtype", "BF16"}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  const std::uint64_t size = text.size();
  file.write(reinterpret_cast<const char*>(&size), sizeof size);
  file << text;
  std::mt19937_64 random(seed);
  std::vector<std::uint16_t> part(1 << 20);
  constexpr std::uint16_t one = 0x3f80;
  for (const Tensor& tensor : tensors)
    for (std::uint64_t left = tensor.values(); left > 0;) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, part.size()));
      const bool norm = tensor.shape.size() == 1;
      for (std::size_t i = 0; i < count; ++i) part[i] = norm ? one : weight(random());
      file.write(reinterpret_cast<const char*>(part.data()), static_cast<std::streamsize>(2 * count));
      left -= count;
    }
}

}  // namespace

int main(int argc, char** argv) {
  Shape shape;
  std::string folder;
  std::uint64_t seed = 1;
  CLI::App app("writes a Llama with random bf16 weights; by default of the shape of Llama-3.2-1B");
  app.add_option("FOLDER", folder, "is made")->required();
  app.add_option("--layers", shape.layers);
  app.add_option("--hidden", shape.hidden);
  app.add_option("--heads", shape.heads);
  app.add_option("--key-value-heads", shape.key_value_heads);
  app.add_option("--head-size", shape.head_size);
  app.add_option("--intermediate", shape.intermediate);
  app.add_option("--vocabulary", shape.vocabulary);
  app.add_flag("--untied", shape.untied, "the output layer has weights of its own");
  app.add_option("--seed", seed);
  CLI11_PARSE(app, argc, argv);
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/config.json") << config_of(shape).dump(1) << '\n';
  std::ofstream file(folder + "/model.safetensors", std::ios::binary);
  write_weights(file, shape, seed);
  file.flush();
  if (file) return 0;
  std::cerr << folder << ": cannot be written\n";
  return 1;
}
