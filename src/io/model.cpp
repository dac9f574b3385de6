#include "cross/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>
#include <system_error>
#include <utility>

#include "base/quote.h"
#include "cross/error.h"
#include "io/conv1d.h"
#include "io/hugging_face.h"
#include "io/matrix_market.h"
#include "io/model_impl.h"
#include "io/npy.h"
#include "io/safetensors_reader.h"
#include "io/smtx.h"
#include "io/stored_type.h"

namespace cross {
namespace {

namespace fs = std::filesystem;
using base::in_quotes;

/// JSON files beside the weights take kilobytes; the largest index known takes a few megabytes.
constexpr std::size_t largest_json_bytes = 100'000'000;

bool is_there(const fs::path& path) {
  std::error_code unreadable;  // counts as absent
  return fs::exists(path, unreadable);
}

base::MappedFile map_json(const fs::path& path) {
  base::MappedFile file(path);
  if (file.bytes().size() > largest_json_bytes)
    throw InputError(fmt::format("{}: {} bytes are above the limit of {} bytes for a JSON file",
                                 path.string(), file.bytes().size(), largest_json_bytes));
  return file;
}

/// Fills a Model::Impl from the files at a path.
class Loader {
 public:
  Loader(Model::Impl& model, const LoadOptions& options) : model_(model), options_(options) {}

  void load(const fs::path& path) {
    const std::string extension = path.extension().string();
    std::error_code error;
    if (fs::is_directory(path, error)) {
      load_folder(path);
    } else if (!is_there(path)) {
      throw UsageError(fmt::format("{}: no such file or folder", path.string()));
    } else if (extension == ".safetensors") {
      model_.metadata = load_safetensors(path).metadata;
    } else if (extension == ".smtx" || extension == ".mtx") {
      load_sparse_text(path, extension == ".smtx" ? io::read_smtx : io::read_matrix_market);
    } else if (extension == ".npy") {
      load_npy(path);
    } else {
      throw UsageError(
          fmt::format("{}: unknown kind of model {}; it must be .safetensors, .smtx, .mtx, .npy or a folder "
                      "with model.safetensors (save others as safetensors first)",
                      path.string(), in_quotes(extension)));
    }
    index_names();
  }

 private:
  const base::MappedFile& map(const fs::path& path) { return model_.files.emplace_back(path); }

  io::SafetensorsContents load_safetensors(const fs::path& path) {
    io::SafetensorsContents contents = io::read_safetensors(map(path).bytes(), path.string());
    for (const io::StoredTensor& tensor : contents.tensors)
      model_.tensors.push_back({tensor.name, tensor.type, tensor.shape, tensor.bytes, path, false});
    return contents;
  }

  void load_folder(const fs::path& folder) {
    const fs::path single = folder / "model.safetensors";
    const fs::path index = folder / "model.safetensors.index.json";
    if (is_there(single)) {
      model_.metadata = load_safetensors(single).metadata;
    } else if (is_there(index)) {
      load_shards(folder, index);
    } else {
      throw UsageError(fmt::format(
          "{}: the folder has neither model.safetensors nor model.safetensors.index.json", folder.string()));
    }
    if (const fs::path config = folder / "config.json"; is_there(config)) {
      model_.config = std::string(base::as_text(map_json(config).bytes()));
      if (io::has_conv1d(*model_.config, config.string())) turn_conv1d();
    }
  }

  void turn_conv1d() {
    for (Tensor& tensor : model_.tensors) {
      if (!io::is_conv1d(tensor)) continue;
      const auto& kept = model_.buffers.emplace_back(
          io::transposed(tensor.bytes, tensor.type, tensor.shape[0], tensor.shape[1]));
      std::swap(tensor.shape[0], tensor.shape[1]);
      tensor.bytes = kept.bytes();
      tensor.turned = true;
    }
    for (const base::MappedFile& file : model_.files) file.release(file.bytes());
  }

  void load_shards(const fs::path& folder, const fs::path& index_path) {
    const base::MappedFile index_file = map_json(index_path);
    const std::string index_name = index_path.string();
    bool first = true;
    for (const auto& [shard, expected] :
         io::read_shard_index(base::as_text(index_file.bytes()), index_name)) {
      const fs::path path = folder / shard;
      if (!is_there(path))
        throw InputError(
            fmt::format("{}: weight_map names {}, which is not in the folder", index_name, in_quotes(shard)));
      io::SafetensorsContents contents = load_safetensors(path);
      std::set<std::string_view> present;
      for (const io::StoredTensor& tensor : contents.tensors) present.insert(tensor.name);
      io::check_shard(expected, present, index_name, shard);
      if (std::exchange(first, false)) model_.metadata = std::move(contents.metadata);
    }
  }

  void load_sparse_text(const fs::path& path, decltype(io::read_smtx)* read) {
    const base::MappedFile file(path);
    io::DenseMatrix matrix = read(file.bytes(), path.string(), options_.seed, io::largest_dense_bytes);
    add_only_layer(path, StoredType::f32, {matrix.rows, matrix.cols}, std::move(matrix.values));
  }

  void load_npy(const fs::path& path) {
    const base::MappedFile& file = map(path);
    const io::NpyArray array = io::read_npy_header(file.bytes(), path.string());
    if (array.shape.size() != 2)
      throw InputError(fmt::format("{}: the array has {} dimensions; a weight must have 2, [out, in]",
                                   path.string(), array.shape.size()));
    const StoredType type = array.half ? StoredType::f16 : StoredType::f32;
    if (array.big_endian || array.fortran_order) {
      add_only_layer(path, type, array.shape, io::in_c_order(array));
      model_.files.clear();
    } else {
      add_only_layer(path, type, array.shape, {});
      model_.tensors.back().bytes = array.bytes;
    }
  }

  void add_only_layer(const fs::path& path, StoredType type, std::vector<std::int64_t> shape,
                      base::ZeroedBuffer values) {
    const base::ZeroedBuffer& kept = model_.buffers.emplace_back(std::move(values));
    model_.tensors.push_back(
        {path.stem().string() + ".weight", type, std::move(shape), kept.bytes(), path, false});
  }

  void index_names() {
    for (std::size_t i = 0; i < model_.tensors.size(); ++i) {
      const Tensor& tensor = model_.tensors[i];
      const auto [entry, fresh] = model_.positions.emplace(tensor.name, i);
      if (!fresh)
        throw InputError(fmt::format("{}: tensor {} is also in {}; every tensor must be in one shard only",
                                     tensor.file.string(), in_quotes(tensor.name),
                                     in_quotes(model_.tensors[entry->second].file.filename().string())));
    }
  }

  Model::Impl& model_;
  const LoadOptions& options_;
};

}  // namespace

MatrixView Tensor::matrix() const {
  const auto dtype = weight_dtype(type);
  if (!dtype || shape.size() != 2)
    throw InternalError(
        fmt::format("tensor {} ({}, {}-D) used as a weight matrix", name, name_of(type), shape.size()));
  return {*dtype, shape[0], shape[1], bytes.data()};
}

Model Model::load(const std::filesystem::path& path, const LoadOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  Loader(*impl, options).load(path);
  return Model(std::move(impl));
}

Model Model::of(std::vector<Tensor> tensors, const std::string& name, std::shared_ptr<const void> owner,
                std::optional<std::string> config) {
  auto impl = std::make_unique<Impl>();
  impl->path = name;
  impl->owner = std::move(owner);
  impl->config = std::move(config);
  impl->tensors = std::move(tensors);
  for (std::size_t i = 0; i < impl->tensors.size(); ++i) {
    const Tensor& tensor = impl->tensors[i];
    const auto bytes = io::checked_bytes(tensor.type, tensor.shape);
    if (!bytes || *bytes != tensor.bytes.size())
      throw UsageError(fmt::format("{}: tensor {} has {} bytes, which do not fit {} of shape [{}]", name,
                                   in_quotes(tensor.name), tensor.bytes.size(), name_of(tensor.type),
                                   fmt::join(tensor.shape, ", ")));
    if (!impl->positions.emplace(tensor.name, i).second)
      throw UsageError(fmt::format("{}: two tensors are called {}", name, in_quotes(tensor.name)));
  }
  return Model(std::move(impl));
}

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

const std::filesystem::path& Model::path() const { return impl_->path; }
std::span<const Tensor> Model::tensors() const { return impl_->tensors; }
const std::map<std::string, std::string>& Model::metadata() const { return impl_->metadata; }
const std::optional<std::string>& Model::config() const { return impl_->config; }

const Tensor* Model::find(std::string_view name) const {
  const auto found = impl_->positions.find(name);
  return found == impl_->positions.end() ? nullptr : &impl_->tensors[found->second];
}

void Model::release(const Tensor& tensor) const {
  for (const base::MappedFile& file : impl_->files) file.release(tensor.bytes);
}

}  // namespace cross
