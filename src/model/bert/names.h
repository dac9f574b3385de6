// Names of layers and tensors in a model plan of the BERT family: those of the model's files without "bert.",
// apart from the query, key and value that became one.
#pragma once

#include <fmt/format.h>

#include <string>

namespace cross::model::bert {

inline std::string in_layer(std::int64_t layer, const char* name) {
  return fmt::format("encoder.layer.{}.{}", layer, name);
}

inline constexpr const char* word_table = "embeddings.word_embeddings.weight";
inline constexpr const char* position_table = "embeddings.position_embeddings.weight";
inline constexpr const char* type_table = "embeddings.token_type_embeddings.weight";
inline constexpr const char* vocabulary = "vocabulary";

inline constexpr const char* embedding_norm = "embeddings.LayerNorm";
inline constexpr const char* attention_norm = "attention.output.LayerNorm";
inline constexpr const char* output_norm = "output.LayerNorm";

inline constexpr const char* query_key_value = "attention.self.query_key_value";
inline constexpr const char* attention_output = "attention.output.dense";
inline constexpr const char* feed_forward_up = "intermediate.dense";
inline constexpr const char* feed_forward_down = "output.dense";

}  // namespace cross::model::bert
