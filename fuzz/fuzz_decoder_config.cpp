// config.json of a decoder, a zero byte, and its generation_config.json. What is accepted is described as a
// plan describes it, and must read the same again.
#include <algorithm>
#include <stdexcept>

#include "base/mapped_file.h"
#include "base/strict_json.h"
#include "cross/error.h"
#include "fuzz_target.h"
#include "model/llama/config.h"

namespace {

using cross::base::parse_strict_json;
using nlohmann::json;

/// Which architecture it is has been decided before the rest is read.
void name_architecture(json& root) {
  if (!root.is_object()) return;
  const json names = root.value("architectures", json());
  for (const char* known : {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM"})
    if (names == json::array({known})) return;
  root["architectures"] = {"LlamaForCausalLM"};
}

}  // namespace

void parse(std::span<const std::byte> file) {
  using namespace cross::model::llama;
  const std::string_view input = cross::base::as_text(file);
  const std::size_t end = std::min(input.find('\0'), input.size());
  ConfigFile config{"config.json", parse_strict_json(input.substr(0, end), "config.json")};
  ConfigFile generation{"generation_config.json", json()};
  if (end < input.size()) generation.root = parse_strict_json(input.substr(end + 1), generation.name);
  name_architecture(config.root);
  if (!config.root.is_object()) throw cross::InputError("config.json: is no object");
  const Config read = read_config(config, generation);
  const json description = describe(read);
  const Config again = read_description(description, "plan");
  if (describe(again) != description) throw std::logic_error("what is described reads otherwise");
  for (const std::int64_t tokens : {1, 100000})
    if (frequencies(again.rotary, again.head_size, tokens).size() !=
        static_cast<std::size_t>(again.head_size / 2))
      throw std::logic_error("wrong count of frequencies");
}
