// A model as CROSS sees it: named tensors in files, with the linear layers among them marked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cross/matrix.h"
#include "cross/stored_type.h"

namespace cross {

/// One tensor: row-major, little-endian, contiguous. `bytes` stay valid as long as the Model lives (they are
/// usually a slice of a mapped file). Weights are [out, in]: those that a model's files keep the other way
/// round are turned when they are loaded.
struct Tensor {
  std::string name;
  StoredType type = StoredType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
  std::filesystem::path file = {};
  bool turned = false;  ///< in its file it is [in, out]

  /// The tensor as a weight matrix; only for 2-D F32, F16 and BF16 tensors (InternalError otherwise).
  MatrixView matrix() const;
};

/// Why a tensor will or will not be treated as the weight of a linear layer.
struct Candidate {
  const Tensor* tensor = nullptr;
  bool selected = false;
  std::string reason;  ///< "2-D weight", "embedding", "not 2-D", "--exclude *.classifier.*", …
};

/// The name of the layer that a weight belongs to: the tensor's name without ".weight".
std::string_view layer_name(std::string_view tensor_name);

/// Which tensors are weights of linear layers. Globs know `*` and `?` and match the whole name of a tensor or
/// layer. A glob that matches no tensor is a UsageError.
struct Selection {
  std::vector<std::string>
      include;  ///< if not empty, only names that match one of these (embeddings too, if named)
  std::vector<std::string> exclude;
};

struct LoadOptions {
  std::uint64_t seed = 0;  ///< for the values of a pattern without values (.smtx)
};

/// A loaded model. Movable, not copyable; const access is thread-safe.
class Model {
 public:
  /// Reads `.safetensors`, a Hugging Face folder, `.smtx`, `.mtx` or `.npy`; weights are mapped, not read,
  /// where the format allows. Throws InputError for files that are damaged, UsageError for paths that are no
  /// model.
  static Model load(const std::filesystem::path& path, const LoadOptions& options = {});

  /// A model in memory: `tensors` whose bytes `owner` keeps alive (nullptr: the caller does). `name` stands
  /// for the path in messages and plans; `config` as the text of config.json. UsageError for a name that
  /// stands twice and for bytes that do not fit type and shape.
  static Model of(std::vector<Tensor> tensors, const std::string& name,
                  std::shared_ptr<const void> owner = nullptr,
                  std::optional<std::string> config = std::nullopt);

  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  const std::filesystem::path& path() const;
  /// Tensors in the order of their files.
  std::span<const Tensor> tensors() const;
  const Tensor* find(std::string_view name) const;
  /// `__metadata__` of the safetensors file (of the first shard for a folder).
  const std::map<std::string, std::string>& metadata() const;
  /// Text of config.json, where the model is a folder that has one.
  const std::optional<std::string>& config() const;

  /// Every tensor with the decision whether it is the weight of a linear layer. By default: 2-D F32, F16 or
  /// BF16 tensors whose names end in `.weight`, except embeddings and norms.
  std::vector<Candidate> candidates(const Selection& selection = {}) const;

  /// Tells the kernel that the mapped pages of `tensor` are not needed for now (they are read again on the
  /// next access), so that a model larger than memory can be compiled layer by layer.
  void release(const Tensor& tensor) const;

  struct Impl;  ///< internal

 private:
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cross
