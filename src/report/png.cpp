#include "report/png.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "cross/error.h"

namespace cross::report {
namespace {

using Bytes = std::vector<std::uint8_t>;

void put_32(Bytes& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

std::uint32_t crc_of(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = 0xffffffffu;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
  }
  return ~crc;
}

std::uint32_t adler_of(std::span<const std::uint8_t> bytes) {
  std::uint32_t a = 1, b = 0;
  for (const std::uint8_t byte : bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return (b << 16) | a;
}

void put_chunk(Bytes& out, std::string_view kind, const Bytes& data) {
  put_32(out, static_cast<std::uint32_t>(data.size()));
  const std::size_t begin = out.size();
  out.insert(out.end(), kind.begin(), kind.end());
  out.insert(out.end(), data.begin(), data.end());
  put_32(out, crc_of(std::span(out).subspan(begin)));
}

/// A zlib stream of stored blocks (RFC 1950 and 1951).
Bytes stored(const Bytes& data) {
  Bytes out = {0x78, 0x01};
  constexpr std::size_t most = 65535;
  for (std::size_t begin = 0; begin < data.size(); begin += most) {
    const std::size_t length = std::min(most, data.size() - begin);
    const auto low = static_cast<std::uint8_t>(length & 0xff), high = static_cast<std::uint8_t>(length >> 8);
    out.push_back(begin + length == data.size() ? 1 : 0);
    out.insert(out.end(), {low, high, static_cast<std::uint8_t>(~low), static_cast<std::uint8_t>(~high)});
    const auto first = data.begin() + static_cast<std::ptrdiff_t>(begin);
    out.insert(out.end(), first, first + static_cast<std::ptrdiff_t>(length));
  }
  put_32(out, adler_of(data));
  return out;
}

}  // namespace

std::vector<std::uint8_t> png_of(const IndexedImage& image, std::span<const Color> colors) {
  const auto width = static_cast<std::size_t>(std::max(image.width, 0));
  const auto height = static_cast<std::size_t>(std::max(image.height, 0));
  if (width == 0 || height == 0 || image.pixels.size() != width * height || colors.empty() ||
      colors.size() > 16 || *std::max_element(image.pixels.begin(), image.pixels.end()) >= colors.size())
    throw InternalError("png: pixels do not fit the size or the colours");
  Bytes out = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  Bytes header;
  put_32(header, static_cast<std::uint32_t>(width));
  put_32(header, static_cast<std::uint32_t>(height));
  header.insert(header.end(), {4, 3, 0, 0, 0});  // bits, indexed, deflate, filters, not interlaced
  put_chunk(out, "IHDR", header);
  Bytes palette;
  for (const Color& color : colors) palette.insert(palette.end(), {color.red, color.green, color.blue});
  put_chunk(out, "PLTE", palette);
  put_chunk(out, "tRNS", {0});
  Bytes rows;
  for (std::size_t r = 0; r < height; ++r) {
    rows.push_back(0);  // no filter
    for (std::size_t c = 0; c < width; c += 2) {
      const std::uint8_t* at = image.pixels.data() + r * width + c;
      rows.push_back(static_cast<std::uint8_t>((at[0] << 4) | (c + 1 < width ? at[1] : 0)));
    }
  }
  put_chunk(out, "IDAT", stored(rows));
  put_chunk(out, "IEND", {});
  return out;
}

std::string base64(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j) bits = (bits << 8) | (j < count ? bytes[i + j] : 0u);
    for (std::size_t j = 0; j < 4; ++j) out += j <= count ? digits[(bits >> (18 - 6 * j)) & 63] : '=';
  }
  return out;
}

std::string png_data_uri(const IndexedImage& image, std::span<const Color> colors) {
  return "data:image/png;base64," + base64(png_of(image, colors));
}

}  // namespace cross::report
