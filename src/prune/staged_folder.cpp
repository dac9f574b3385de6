#include "prune/staged_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <system_error>

#include "cross/error.h"

namespace cross::prune_detail {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& path, const std::error_code& error) {
  throw InputError(fmt::format("{}: {}", path.string(), error.message()));
}

fs::path beside(const fs::path& target, const char* what) {
  return target.parent_path() / fmt::format("{}.{}-{}", target.filename().string(), what, ::getpid());
}

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) refuse(path, error);
}

}  // namespace

StagedFolder::StagedFolder(fs::path target)
    : target_(std::move(target)), staged_(beside(target_, "partial")) {
  std::error_code ignored;
  fs::remove_all(staged_, ignored);  // a leftover of a process that died with our number
  make_folder(staged_);
}

StagedFolder::~StagedFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(staged_, ignored);
}

void StagedFolder::copy_others(const fs::path& source, const std::set<fs::path>& except) const {
  std::error_code error;
  auto entry = fs::recursive_directory_iterator(source, error);
  if (error) refuse(source, error);
  while (entry != fs::recursive_directory_iterator()) {
    const fs::path relative = entry->path().lexically_relative(source);
    if (entry->is_directory(error)) {
      if (relative.filename().string().starts_with('.')) entry.disable_recursion_pending();
    } else if (entry->is_regular_file(error) && !except.contains(relative)) {
      const fs::path copy = staged_ / relative;
      make_folder(copy.parent_path());
      fs::copy_file(entry->path(), copy, error);
      if (error) refuse(entry->path(), error);
    }
    entry.increment(error);
    if (error) refuse(source, error);
  }
}

void StagedFolder::commit() {
  std::error_code error;
  const fs::path old = beside(target_, "replaced");
  const bool replaces = fs::exists(target_, error);
  if (replaces) {
    fs::rename(target_, old, error);
    if (error) refuse(target_, error);
  }
  fs::rename(staged_, target_, error);
  if (error) {
    std::error_code ignored;
    if (replaces) fs::rename(old, target_, ignored);
    refuse(target_, error);
  }
  committed_ = true;
  if (replaces) fs::remove_all(old, error);
}

}  // namespace cross::prune_detail
