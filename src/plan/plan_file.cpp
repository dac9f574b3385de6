// Plan files: safetensors with a JSON description in the metadata, so that any safetensors reader can look
// inside.
//
//   __metadata__   cross.plan_version   "1"
//                  cross.description    JSON: layers, panels, segments, variants, decisions, and a checksum
//                  (XXH3-64,
//                                       hexadecimal) of every tensor's bytes
//                  cross.checksum       XXH3-64 of the description's text
//   tensors        NAME.packing.I (U8), NAME.row_order (I32), NAME.bias (F32),
//                  and in a model plan model/NAME for every other tensor of the model
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <thread>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mapped_file.h"
#include "base/parallel.h"
#include "base/quote.h"
#include "base/strict_json.h"
#include "cross/error.h"
#include "cross/plan.h"
#include "io/safetensors_reader.h"
#include "io/safetensors_writer.h"
#include "kernels/isa.h"
#include "plan/check.h"
#include "plan/description.h"

namespace cross {
namespace {

constexpr const char* version_key = "cross.plan_version";
constexpr const char* description_key = "cross.description";
constexpr const char* checksum_key = "cross.checksum";

std::string checksum(const void* data, std::size_t size) {
  return fmt::format("{:016x}", XXH3_64bits(data, size));
}

const std::string& metadata_field(const io::SafetensorsContents& contents, const char* key,
                                  const std::string& name) {
  const auto found = contents.metadata.find(key);
  if (found == contents.metadata.end())
    throw InputError(
        fmt::format("{}: is no plan: its metadata lacks \"{}\"; `cross compile` makes plans", name, key));
  return found->second;
}

/// Every byte is read once before a plan runs: gigabytes by several threads, which faults their pages in as
/// well.
std::size_t threads_for(std::size_t bytes) {
  constexpr std::size_t worth_a_thread = std::size_t{16} << 20;
  return std::min<std::size_t>(std::max(1u, std::thread::hardware_concurrency()), bytes / worth_a_thread + 1);
}

/// Hands out the tensors of a file by name, each checked against its checksum.
class CheckedTensors {
 public:
  CheckedTensors(const io::SafetensorsContents& contents, const nlohmann::json& description,
                 const std::string& name)
      : name_(name) {
    const auto sums = description.find("checksums");
    if (sums == description.end() || !sums->is_object())
      throw InputError(fmt::format("{}: the description has no \"checksums\"", name));
    std::size_t bytes = 0;
    for (const io::StoredTensor& tensor : contents.tensors) {
      tensors_.emplace(tensor.name, &tensor);
      bytes += tensor.bytes.size();
    }
    base::for_each_parallel(contents.tensors.size(), threads_for(bytes), [&](std::size_t i) {
      const io::StoredTensor& tensor = contents.tensors[i];
      const auto sum = sums->find(tensor.name);
      if (sum == sums->end() || !sum->is_string())
        throw InputError(fmt::format("{}: tensor {} has no checksum", name, base::in_quotes(tensor.name)));
      const std::string found = checksum(tensor.bytes.data(), tensor.bytes.size());
      if (found != sum->get<std::string>())
        throw InputError(fmt::format("{}: tensor {} is damaged: its checksum is {}, the file says {}", name,
                                     base::in_quotes(tensor.name), found,
                                     base::in_quotes(sum->get<std::string>())));
    });
  }

  const io::StoredTensor& get(const std::string& tensor) const {
    const auto found = tensors_.find(tensor);
    if (found == tensors_.end())
      throw InputError(fmt::format("{}: tensor {} is missing", name_, base::in_quotes(tensor)));
    return *found->second;
  }

  const io::StoredTensor& get(const std::string& tensor, StoredType type) const {
    const io::StoredTensor& found = get(tensor);
    if (found.type != type || found.shape.size() != 1)
      throw InputError(fmt::format("{}: tensor {} must be one-dimensional {}", name_, base::in_quotes(tensor),
                                   name_of(type)));
    return found;
  }

  /// A tensor that holds one value for each of a layer's rows. An empty one would pass for an absent one.
  template <class T>
  std::vector<T> per_row(const std::string& tensor, StoredType type, std::int64_t rows) const {
    const io::StoredTensor& stored = get(tensor, type);
    if (stored.shape[0] != rows)
      throw InputError(fmt::format("{}: tensor {} has {} values for {} rows", name_, base::in_quotes(tensor),
                                   stored.shape[0], rows));
    std::vector<T> values(stored.bytes.size() / sizeof(T));
    std::memcpy(values.data(), stored.bytes.data(), stored.bytes.size());
    return values;
  }

 private:
  std::string name_;
  std::map<std::string, const io::StoredTensor*> tensors_;
};

#ifdef CROSS_HAS_CUDA
constexpr bool has_cuda = true;
#else
constexpr bool has_cuda = false;
#endif

void require_features(const Plan& plan, const std::string& name) {
  if (plan.device == "cuda" && has_cuda) return;  // which GPUs there are is asked when it runs
  if (plan.device != "cpu")
    throw DeviceError(
        fmt::format("{}: was compiled for device {}, which this build does not have; compile it with "
                    "--device cpu",
                    name, base::in_quotes(plan.device)));
  for (const LayerPlan& layer : plan.layers)
    for (const Packing& packing : layer.packings)
      if (packing.arithmetic == PlanArithmetic::bf16_pair &&
          kernels::active_isa() != kernels::Isa::avx512_bf16)
        throw DeviceError(
            fmt::format("{}: needs a CPU with AVX512_BF16 and AVX512_VBMI2 (compiled on {}), this one has "
                        "{}; compile the model again on this machine",
                        name, plan.compiled_on, name_of(kernels::active_isa())));
}

Plan parse_plan(std::span<const std::byte> bytes, const std::string& name,
                const std::shared_ptr<const void>& owner) {
  const io::SafetensorsContents contents = io::read_safetensors(bytes, name);
  const std::string& version = metadata_field(contents, version_key, name);
  if (version != std::to_string(plan_version))
    throw InputError(
        fmt::format("{}: is a plan of version {}, this build reads version {}; compile the model again", name,
                    base::in_quotes(version), plan_version));
  const std::string& text = metadata_field(contents, description_key, name);
  if (checksum(text.data(), text.size()) != metadata_field(contents, checksum_key, name))
    throw InputError(fmt::format("{}: the description is damaged: its checksum does not match", name));
  const nlohmann::json description = base::parse_strict_json(text, name + ": the description");
  Plan plan = plan_file::read_description(description, name);
  const CheckedTensors tensors(contents, description, name);
  for (LayerPlan& layer : plan.layers) {
    for (std::size_t i = 0; i < layer.packings.size(); ++i)
      layer.packings[i].data = {owner,
                                tensors.get(plan_file::packing_tensor(layer.name, i), StoredType::u8).bytes,
                                owner != nullptr};
    if (!layer.row_order.empty())
      layer.row_order =
          tensors.per_row<std::int32_t>(plan_file::row_order_tensor(layer.name), StoredType::i32, layer.rows);
    if (!layer.bias.empty())
      layer.bias = tensors.per_row<float>(plan_file::bias_tensor(layer.name), StoredType::f32, layer.rows);
  }
  if (plan.model)
    for (PlanTensor& tensor : plan.model->tensors) {
      const io::StoredTensor& stored = tensors.get(plan_file::model_tensor(tensor.name));
      tensor.type = stored.type;
      tensor.shape = stored.shape;
      tensor.data = {owner, stored.bytes, owner != nullptr};
    }
  require_features(plan, name);
  plan_file::check_plan(plan, name, threads_for(bytes.size()));
  return plan;
}

struct OutputTensor {
  io::TensorHeader header;
  std::span<const std::byte> bytes;
};

std::vector<OutputTensor> tensors_of(const Plan& plan) {
  std::vector<OutputTensor> tensors;
  const auto add = [&](const std::string& name, StoredType type, std::size_t count,
                       std::span<const std::byte> bytes) {
    tensors.push_back({{name, type, {static_cast<std::int64_t>(count)}}, bytes});
  };
  // Packings first: their sizes are multiples of 64, so each starts at a cache line of the mapped file.
  for (const LayerPlan& layer : plan.layers)
    for (std::size_t i = 0; i < layer.packings.size(); ++i) {
      const auto bytes = layer.packings[i].data.bytes;
      add(plan_file::packing_tensor(layer.name, i), StoredType::u8, bytes.size(), bytes);
    }
  for (const LayerPlan& layer : plan.layers) {
    if (!layer.row_order.empty())
      add(plan_file::row_order_tensor(layer.name), StoredType::i32, layer.row_order.size(),
          std::as_bytes(std::span(layer.row_order)));
    if (!layer.bias.empty())
      add(plan_file::bias_tensor(layer.name), StoredType::f32, layer.bias.size(),
          std::as_bytes(std::span(layer.bias)));
  }
  if (!plan.model) return tensors;
  // Wide elements first, so that each tensor is aligned to its own.
  for (const std::size_t size : {8, 4, 2, 1})
    for (const PlanTensor& tensor : plan.model->tensors)
      if (size_of(tensor.type) == size)
        tensors.push_back(
            {{plan_file::model_tensor(tensor.name), tensor.type, tensor.shape}, tensor.data.bytes});
  return tensors;
}

/// Where the first packing starts: at a cache line, or where a GPU may read it in a copy of the file.
std::size_t data_alignment(const Plan& plan) { return plan.device == "cuda" ? 256 : 64; }

/// All that a plan file holds.
struct Output {
  std::vector<OutputTensor> tensors;
  std::vector<io::TensorHeader> headers;
  std::map<std::string, std::string> metadata;
};

Output output_of(const Plan& plan) {
  Output output;
  output.tensors = tensors_of(plan);
  nlohmann::json description = plan_file::describe(plan);
  nlohmann::json& sums = description["checksums"] = nlohmann::json::object();
  for (const OutputTensor& tensor : output.tensors) {
    sums[tensor.header.name] = checksum(tensor.bytes.data(), tensor.bytes.size());
    output.headers.push_back(tensor.header);
  }
  // Names may come from file names, which can hold any byte.
  const std::string text = description.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  output.metadata = {{"format", "cross"},
                     {version_key, std::to_string(plan_version)},
                     {description_key, text},
                     {checksum_key, checksum(text.data(), text.size())}};
  return output;
}

}  // namespace

Plan Plan::load(const std::filesystem::path& path) {
  const auto file = std::make_shared<const base::MappedFile>(path);
  return parse_plan(file->bytes(), path.string(), file);
}

Plan Plan::parse(std::span<const std::byte> bytes, const std::string& name,
                 const std::shared_ptr<const void>& owner) {
  return parse_plan(bytes, name, owner);
}

std::vector<std::byte> Plan::serialize() const {
  const Output output = output_of(*this);
  const io::SafetensorsPrefix prefix =
      io::safetensors_prefix(output.headers, output.metadata, data_alignment(*this));
  std::vector<std::byte> bytes(prefix.text.size() + prefix.data_bytes);
  std::byte* at = bytes.data();
  const auto append = [&](std::span<const std::byte> part) {
    if (!part.empty()) std::memcpy(at, part.data(), part.size());
    at += part.size();
  };
  append(std::as_bytes(std::span(prefix.text)));
  for (const OutputTensor& tensor : output.tensors) append(tensor.bytes);
  return bytes;
}

void Plan::save(const std::filesystem::path& path) const {
  const Output output = output_of(*this);
  io::SafetensorsWriter writer(path, output.headers, output.metadata, data_alignment(*this));
  for (const OutputTensor& tensor : output.tensors) writer.append(tensor.bytes);
  writer.commit();
}

}  // namespace cross
