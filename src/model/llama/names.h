// Names of layers and tensors in a model plan of the Llama family: those of the model's files, apart from the
// projections that became one.
#pragma once

#include <fmt/format.h>

#include <string>

namespace cross::model::llama {

inline std::string in_layer(std::int64_t layer, const char* name) {
  return fmt::format("model.layers.{}.{}", layer, name);
}

inline constexpr const char* word_table = "model.embed_tokens.weight";
inline constexpr const char* word_layer = "model.embed_tokens";  ///< the same as weights of the output layer
inline constexpr const char* final_norm = "model.norm.weight";
inline constexpr const char* output = "lm_head";

inline constexpr const char* attention_norm = "input_layernorm.weight";
inline constexpr const char* feed_forward_norm = "post_attention_layernorm.weight";

inline constexpr const char* query_key_value = "self_attn.qkv_proj";
inline constexpr const char* attention_output = "self_attn.o_proj";
inline constexpr const char* gate_and_up = "mlp.gate_up_proj";
inline constexpr const char* down = "mlp.down_proj";

}  // namespace cross::model::llama
