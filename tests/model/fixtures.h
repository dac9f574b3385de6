// Where the fixtures of models are, and a real model if there is one.
#pragma once

#include <filesystem>
#include <string>

namespace cross::testing {

inline std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(CROSS_SOURCE_DIR) / "tests/model/fixtures" / name;
}

/// all-MiniLM-L6-v2 as quickstart.sh downloads it; empty if it is not there.
inline std::filesystem::path minilm_folder() {
  const auto folder = std::filesystem::path(CROSS_SOURCE_DIR) / "models/all-MiniLM-L6-v2";
  return std::filesystem::exists(folder / "model.safetensors") ? folder : std::filesystem::path();
}

}  // namespace cross::testing
