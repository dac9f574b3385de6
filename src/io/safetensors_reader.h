// The one reader of safetensors files, for models and for plans.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "io/safetensors_writer.h"

namespace cross::io {

/// What a file says of one tensor, with the tensor's bytes inside the file.
struct StoredTensor : TensorHeader {
  std::span<const std::byte> bytes;
};

struct SafetensorsContents {
  std::vector<StoredTensor> tensors;  ///< in the order of their bytes
  std::map<std::string, std::string> metadata;
};

/// Parses and checks a whole file that lies in memory (which must outlive the result). `name` stands in
/// messages. Everything that the format forbids throws InputError: the tensors cover the data exactly once,
/// each has the size that its shape and type say. Fields of a tensor that the format does not know are
/// ignored.
SafetensorsContents read_safetensors(std::span<const std::byte> file, const std::string& name);

}  // namespace cross::io
