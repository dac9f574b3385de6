// Small model files and folders to prune.
#pragma once

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "cross/model.h"
#include "io/safetensors_writer.h"

namespace cross::testing {

struct NamedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

inline void write_model(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                        const std::map<std::string, std::string>& metadata = {}) {
  std::vector<io::TensorHeader> headers;
  for (const NamedTensor& tensor : tensors) headers.push_back({tensor.name, StoredType::f32, tensor.shape});
  io::SafetensorsWriter writer(path, headers, metadata);
  for (const NamedTensor& tensor : tensors) writer.append(std::as_bytes(std::span(tensor.values)));
  writer.commit();
}

inline std::vector<float> values_of(const Model& model, std::string_view name) {
  const Tensor* tensor = model.find(name);
  if (tensor == nullptr) return {};
  std::vector<float> values(tensor->bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor->bytes.data(), tensor->bytes.size());
  return values;
}

/// Two shards with different metadata, an index, a configuration, a tokenizer, and files deeper down.
inline void write_folder(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  fs::create_directories(folder / "extra");
  fs::create_directories(folder / ".git");
  write_model(folder / "model-1.safetensors",
              {{"embed_tokens.weight", {2, 2}, {0.1f, 0.2f, 0.3f, 0.4f}}, {"a.weight", {1, 4}, {1, 2, 3, 4}}},
              {{"format", "pt"}, {"shard", "one"}});
  write_model(folder / "model-2.safetensors", {{"a.bias", {1}, {0.5f}}, {"b.weight", {2, 2}, {8, 7, 6, 5}}},
              {{"format", "pt"}, {"shard", "two"}});
  const auto text = [&](const char* name, const char* content) {
    std::ofstream(folder / name, std::ios::binary) << content;
  };
  text(
      "model.safetensors.index.json",
      R"({"metadata": {"total_size": 52}, "weight_map": {"embed_tokens.weight": "model-1.safetensors",)"
      R"( "a.weight": "model-1.safetensors", "a.bias": "model-2.safetensors", "b.weight": "model-2.safetensors"}})");
  text("config.json", R"({"model_type": "llama"})");
  text("tokenizer.json", "{}");
  text("extra/notes.txt", "deep");
  text(".git/HEAD", "ref");
}

}  // namespace cross::testing
