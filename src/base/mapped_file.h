// A file as read-only memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace cross::base {

/// Maps a whole regular file. The bytes stay valid and do not move until the object is destroyed, also when
/// the object is moved. Whoever shortens the file meanwhile ends the process with SIGBUS: that is the price
/// of not copying weights. Const access is thread-safe.
class MappedFile {
 public:
  /// Throws UsageError where there is no regular file at `path`, InputError where it cannot be opened or
  /// mapped.
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }

  /// Lets the kernel drop the pages that lie wholly inside `part`; the next access reads them again. Ignores
  /// what is not part of this file.
  void release(std::span<const std::byte> part) const;

 private:
  std::span<const std::byte> bytes_;
};

/// The same without the file at hand: the part must be bytes of a mapped file, or they are lost.
void drop_mapped_pages(std::span<const std::byte> part);

/// The same bytes as characters.
std::string_view as_text(std::span<const std::byte> bytes);

}  // namespace cross::base
