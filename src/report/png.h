// Small pictures of few colours as PNG in a data URI.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cross::report {

struct Color {
  std::uint8_t red = 0, green = 0, blue = 0;
};

/// A picture whose pixels are indices into at most 16 colours; index 0 is transparent.
struct IndexedImage {
  int width = 0, height = 0;
  std::vector<std::uint8_t> pixels;  ///< [height, width]
};

/// 4 bits a pixel, stored without compression: maps of densities are mostly noise. InternalError for a size
/// of zero, pixels that do not fill it, or indices without a colour.
std::vector<std::uint8_t> png_of(const IndexedImage& image, std::span<const Color> colors);

std::string base64(std::span<const std::uint8_t> bytes);

/// "data:image/png;base64,…".
std::string png_data_uri(const IndexedImage& image, std::span<const Color> colors);

}  // namespace cross::report
