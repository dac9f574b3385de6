#include "console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "cross/error.h"

namespace cross::cli {
namespace {

bool reader_gone = false;

void check_write(bool written) {
  if (written || reader_gone) return;
  if (errno == EPIPE) {
    reader_gone = true;
    return;
  }
  throw InputError(fmt::format("cannot write to standard output: {}", std::strerror(errno)));
}

}  // namespace

void print(std::string_view text) {
  if (reader_gone) return;
  check_write(std::fwrite(text.data(), 1, text.size(), stdout) == text.size());
}

void print_json(const nlohmann::ordered_json& value) {
  print(value.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void finish_output() { check_write(std::fflush(stdout) == 0); }

bool reader_has_gone() { return reader_gone; }

void print_note(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fputc('\n', stderr);
}

void print_error(std::string_view text) {
  const bool red = interactive_stderr() && colours_allowed();
  print_note(fmt::format("{}cross: error:{} {}", red ? "\x1b[31m" : "", red ? "\x1b[0m" : "", text));
}

bool interactive_stderr() {
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

bool colours_allowed() {
  const char* value = std::getenv("NO_COLOR");
  return value == nullptr || *value == '\0';
}

}  // namespace cross::cli
