// Writing a file so that it is either complete or absent.
#pragma once

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

namespace cross::base {

/// Collects bytes in `path + ".partial-<pid>"` and renames it on `commit`; destroyed before that, it removes
/// the partial file and leaves what was at `path` alone. A symbolic link at `path` stays and its target is
/// replaced. Failures throw InputError naming the path and the system's reason. One object belongs to one
/// thread.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Flushes to the disk and renames.
  void commit();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::filesystem::path path_;
  std::filesystem::path partial_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace cross::base
