#include "base/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <system_error>
#include <utility>

#include "cross/error.h"

namespace cross::base {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

class Descriptor {
 public:
  // O_NONBLOCK: a named pipe must not hang us before we can refuse it.
  explicit Descriptor(const std::filesystem::path& path)
      : value_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const Descriptor file(path);
  if (file.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) throw UsageError(fmt::format("{}: no such file", path.string()));
    throw InputError(fmt::format("{}: cannot open the file: {}", path.string(), reason(errno)));
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0)
    throw InputError(fmt::format("{}: cannot look at the file: {}", path.string(), reason(errno)));
  if (!S_ISREG(status.st_mode)) throw UsageError(fmt::format("{}: not a regular file", path.string()));
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return;  // mmap refuses empty ranges
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (memory == MAP_FAILED)
    throw InputError(fmt::format("{}: cannot map {} bytes: {}", path.string(), size, reason(errno)));
  bytes_ = {static_cast<const std::byte*>(memory), size};
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::release(std::span<const std::byte> part) const {
  const std::less<const std::byte*> before;
  if (part.empty() || bytes_.empty() || before(part.data(), bytes_.data()) ||
      before(bytes_.data() + bytes_.size(), part.data() + part.size()))
    return;
  drop_mapped_pages(part);
}

void drop_mapped_pages(std::span<const std::byte> part) {
  // Shrink to whole pages: neighbours of the part may still be in use.
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = (reinterpret_cast<std::uintptr_t>(part.data()) + page - 1) / page * page;
  const auto last = reinterpret_cast<std::uintptr_t>(part.data() + part.size()) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace cross::base
