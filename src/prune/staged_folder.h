// Writing a folder so that it is either complete or absent.
#pragma once

#include <filesystem>
#include <set>

namespace cross::prune_detail {

/// Collects files in a folder beside `target` (`target + ".partial-<pid>"`) and renames it on `commit`;
/// destroyed before that, it removes them and leaves what was at `target` alone. InputError naming the path
/// if the disk refuses.
class StagedFolder {
 public:
  explicit StagedFolder(std::filesystem::path target);
  ~StagedFolder();
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  const std::filesystem::path& path() const { return staged_; }
  /// Copies every file of `source` but those named in `except` (relative paths) and folders that start with a
  /// dot. Symbolic links to files are copied as the files they point to.
  void copy_others(const std::filesystem::path& source, const std::set<std::filesystem::path>& except) const;
  /// Takes the place of `target`, replacing a folder there.
  void commit();

 private:
  std::filesystem::path target_, staged_;
  bool committed_ = false;
};

}  // namespace cross::prune_detail
