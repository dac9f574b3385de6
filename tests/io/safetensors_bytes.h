// Safetensors files built by hand, so that they can be wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cross::testing {

/// Length, header and `data_bytes` bytes of data.
inline std::string safetensors_bytes(std::string_view header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  file += header;
  file.append(data_bytes, '\x01');
  return file;
}

/// A length field alone, in front of `rest`.
inline std::string with_header_length(std::uint64_t length, std::string_view rest) {
  return std::string(reinterpret_cast<const char*>(&length), sizeof length).append(rest);
}

}  // namespace cross::testing
