#include "base/atomic_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "cross/error.h"

namespace cross::base {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  throw InputError(
      fmt::format("{}: cannot write the file: {}", path.string(), std::generic_category().message(error)));
}

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path) {
  std::error_code ignored;
  if (std::filesystem::is_symlink(path_, ignored)) path_ = std::filesystem::weakly_canonical(path_, ignored);
  const auto status = std::filesystem::status(path_, ignored);
  // Renaming over /dev/null would replace the device.
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    throw InputError(fmt::format("{}: cannot write the file: not a regular file", path.string()));
  partial_ = path_;
  partial_ += fmt::format(".partial-{}", ::getpid());
  file_.reset(std::fopen(partial_.c_str(), "wbe"));
  if (!file_) fail(path_, errno);
  std::setvbuf(file_.get(), nullptr, _IOFBF, std::size_t{1} << 18);
}

AtomicFile::~AtomicFile() {
  if (!file_) return;
  file_.reset();
  std::error_code ignored;
  std::filesystem::remove(partial_, ignored);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (!file_) throw InternalError(fmt::format("{}: written after it was committed", path_.string()));
  if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size())
    fail(path_, errno);
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

void AtomicFile::commit() {
  if (!file_) throw InternalError(fmt::format("{}: committed twice", path_.string()));
  // Without fsync a crash of the machine could leave the new name with no content.
  if (std::fflush(file_.get()) != 0 || ::fsync(::fileno(file_.get())) != 0) fail(path_, errno);
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) fail(path_, errno);
  file_.reset();
}

}  // namespace cross::base
