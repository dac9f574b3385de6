#include "progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/quote.h"
#include "console.h"

namespace cross::cli {
namespace {

constexpr auto silent = std::chrono::seconds(1);

std::size_t terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

Progress::Progress(std::string label, bool quiet)
    : label_(std::move(label)), active_(!quiet && interactive_stderr()) {
  if (!active_) return;
  first_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    if (!end_.wait_for(lock, silent, [this] { return ended_; })) draw();
  });
}

Progress::~Progress() {
  if (!active_) return;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  end_.notify_all();
  first_.join();
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

void Progress::step(std::size_t done, std::size_t total, std::string_view what) {
  if (!active_) return;
  const std::lock_guard lock(mutex_);
  done_ = done;
  total_ = total;
  what_ = base::printable(what);
  if (std::chrono::steady_clock::now() - start_ >= silent) draw();
}

void Progress::draw() {
  if (total_ == 0) return;
  shown_ = true;
  fmt::print(stderr, "\r{}\x1b[K", line());
  std::fflush(stderr);
}

std::string Progress::line() const {
  constexpr std::size_t width = 24;
  const std::size_t filled = std::min(width, width * done_ / total_);
  std::string text = fmt::format("{} [{}{}] {}/{} {}", label_, std::string(filled, '#'),
                                 std::string(width - filled, '.'), done_, total_, what_);
  // A line that wraps could not be taken back.
  const std::size_t columns = terminal_columns();
  if (text.size() >= columns) text.resize(columns - 1);
  return text;
}

}  // namespace cross::cli
