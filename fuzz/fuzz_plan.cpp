// Plan files. An input is the description as JSON, a zero byte, and the bytes of the tensors; in "checksums"
// stands each tensor's size. From these a file with right checksums is made: a mutation would never pass them
// by itself. Input that starts with no brace is taken as the file. Small layers of an accepted plan are run.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/strict_json.h"
#include "cross/error.h"
#include "cross/session.h"
#include "fuzz_target.h"

namespace {

using namespace cross;

std::string checksum(std::string_view bytes) {
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

/// The plan file that `text` and `data` describe.
std::string make_file(std::string_view text, std::string_view data) {
  nlohmann::json description = base::parse_strict_json(text, "input");
  nlohmann::ordered_json header;
  header["__metadata__"] = nlohmann::json::object();
  std::string tensors;
  if (description.is_object() && description.contains("checksums") && description["checksums"].is_object())
    for (auto& [name, size] : description["checksums"].items()) {
      if (!size.is_number_unsigned() || name == "__metadata__") continue;
      const bool words = name.ends_with(".bias") || name.ends_with(".row_order");
      const std::size_t unit = words ? 4 : 1;
      const std::size_t count = std::min(size.get<std::size_t>(), data.size()) / unit;
      const std::string_view bytes = data.substr(0, count * unit);
      data.remove_prefix(bytes.size());
      header[name] = {{"dtype", !words                    ? "U8"
                                : name.ends_with(".bias") ? "F32"
                                                          : "I32"},
                      {"shape", {count}},
                      {"data_offsets", {tensors.size(), tensors.size() + bytes.size()}}};
      tensors += bytes;
      size = checksum(bytes);
    }
  const std::string final_text = description.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  header["__metadata__"] = {{"cross.plan_version", std::to_string(plan_version)},
                            {"cross.description", final_text},
                            {"cross.checksum", checksum(final_text)}};
  std::string json = header.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  json.append((64 - (8 + json.size()) % 64) % 64, ' ');
  const std::uint64_t length = json.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + json + tensors;
}

void run_layer(Session& session, const LayerPlan& layer, std::size_t index, DType dtype) {
  for (const Variant& variant : layer.variants) {
    const std::int64_t tokens = std::min<std::int64_t>(variant.tokens, 70);
    if (&layer.variant_for(tokens) != &variant || variant.shape == "library") continue;
    const std::vector<std::byte> x(static_cast<std::size_t>(tokens * layer.cols) * size_of(dtype));
    std::vector<std::byte> y(static_cast<std::size_t>(tokens * layer.rows) * size_of(dtype));
    struct alignas(64) Line {
      std::byte bytes[64];
    };
    const std::size_t needed = session.workspace_bytes(index, tokens);
    if (needed > std::size_t{1} << 26) continue;
    std::vector<Line> workspace((needed + 63) / 64);
    session.run(index, {.x = x.data(),
                        .y = y.data(),
                        .tokens = tokens,
                        .workspace = std::as_writable_bytes(std::span(workspace))});
  }
}

}  // namespace

void parse(std::span<const std::byte> file) {
  const std::string_view input(reinterpret_cast<const char*>(file.data()), file.size());
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string made =
      input.starts_with('{') ? make_file(input.substr(0, end), input.substr(std::min(end + 1, input.size())))
                             : std::string(input);
  const Plan plan = Plan::parse(std::as_bytes(std::span(made)), "f.cross");
  const auto executor = make_thread_executor(1);
  Session session(plan, *executor);
  for (std::size_t i = 0; i < plan.layers.size(); ++i)
    if (plan.layers[i].rows <= 2048 && plan.layers[i].cols <= 2048)
      run_layer(session, plan.layers[i], i, plan.dtype);
}
