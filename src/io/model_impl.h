// What a Model owns.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mapped_file.h"
#include "base/zeroed_buffer.h"
#include "cross/model.h"

namespace cross {

struct Model::Impl {
  std::filesystem::path path;
  std::vector<base::MappedFile> files;      // bytes of tensors that lie in files as they are needed …
  std::vector<base::ZeroedBuffer> buffers;  // … and of those that do not
  std::shared_ptr<const void> owner;        // … and of those that the caller keeps
  std::vector<Tensor> tensors;
  std::unordered_map<std::string_view, std::size_t> positions;  // in `tensors`, by name
  std::map<std::string, std::string> metadata;
  std::optional<std::string> config;
};

}  // namespace cross
