// Writes a safetensors file so that it is either complete or absent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "cross/model.h"

namespace cross::io {

/// What the header says of one tensor; its bytes follow later through `append`.
struct TensorHeader {
  std::string name;
  StoredType type = StoredType::f32;
  std::vector<std::int64_t> shape;
};

/// What stands before the tensors' bytes: the length of the header, and the header.
struct SafetensorsPrefix {
  std::string text;              ///< binary: 8 bytes of length, then JSON padded with spaces
  std::uint64_t data_bytes = 0;  ///< of all tensors together
};

/// The beginning of a file with these tensors, whose data then starts at a multiple of `alignment`.
/// InternalError for a name that stands twice and for sizes beyond 64 bits.
SafetensorsPrefix safetensors_prefix(const std::vector<TensorHeader>& tensors,
                                     const std::map<std::string, std::string>& metadata,
                                     std::size_t alignment = 64);

/// Streams tensors into `path + ".partial-<pid>"` and renames it on `commit`; destroyed before that, it
/// removes the partial file. Format: https://huggingface.co/docs/safetensors (8-byte little-endian header
/// length, JSON header padded with spaces so that the data starts at a multiple of `alignment`, then the
/// tensors without holes, in the order given). I/O failures throw InputError naming the path and the system's
/// reason. Equal arguments give equal bytes. Text that is not UTF-8 is written with U+FFFD in place of each
/// bad byte.
class SafetensorsWriter {
 public:
  SafetensorsWriter(std::filesystem::path path, const std::vector<TensorHeader>& tensors,
                    const std::map<std::string, std::string>& metadata, std::size_t alignment = 64);

  /// Appends bytes of the tensors, in header order; may be called with parts of a tensor.
  void append(std::span<const std::byte> bytes);
  /// Flushes, checks that every tensor got all its bytes (InternalError otherwise), and renames.
  void commit();

 private:
  base::AtomicFile file_;
  std::uint64_t expected_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace cross::io
