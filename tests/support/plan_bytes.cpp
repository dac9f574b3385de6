#include "support/plan_bytes.h"

#include <fmt/format.h>

#include <cstring>
#include <span>
#include <stdexcept>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "io/safetensors_reader.h"

namespace cross::testing {
namespace {

std::string checksum(std::string_view bytes) {
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

}  // namespace

PlanParts::Tensor& PlanParts::tensor(std::string_view name) {
  for (Tensor& t : tensors)
    if (t.name == name) return t;
  throw std::out_of_range(std::string(name));
}

PlanParts open_plan(const std::string& file) {
  const auto contents = io::read_safetensors(std::as_bytes(std::span(file)), "plan");
  PlanParts parts;
  parts.version = contents.metadata.at("cross.plan_version");
  parts.description = nlohmann::json::parse(contents.metadata.at("cross.description"));
  for (const auto& tensor : contents.tensors)
    parts.tensors.push_back(
        {tensor.name, std::string(name_of(tensor.type)), tensor.shape,
         std::string(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size())});
  return parts;
}

std::string close_plan(PlanParts parts) {
  if (auto sums = parts.description.find("checksums"); sums != parts.description.end() && sums->is_object())
    for (const PlanParts::Tensor& tensor : parts.tensors)
      if (sums->contains(tensor.name)) (*sums)[tensor.name] = checksum(tensor.bytes);
  return close_plan(parts, parts.description.dump());
}

std::string close_plan(const PlanParts& parts, const std::string& text) {
  nlohmann::ordered_json header;
  header["__metadata__"] = {
      {"cross.plan_version", parts.version}, {"cross.description", text}, {"cross.checksum", checksum(text)}};
  std::string data;
  for (const PlanParts::Tensor& tensor : parts.tensors) {
    header[tensor.name] = {{"dtype", tensor.type},
                           {"shape", tensor.shape},
                           {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  std::string json = header.dump();
  json.append((64 - (8 + json.size()) % 64) % 64, ' ');
  const std::uint64_t length = json.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + json + data;
}

}  // namespace cross::testing
