// first_token: how long a decoder plan takes from nothing to the first token, and what memory the process
// then has and had at most. Run it twice: the second start is a warm one.
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "cross/decoder.h"
#include "cross/error.h"

namespace {

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point start) {
  return std::chrono::duration<double>(clock::now() - start).count();
}

/// "VmRSS", "VmHWM" and the like of this process, in MB.
double memory(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ":")) return std::stod(line.substr(field.size() + 1)) * 1024e-6;
  return 0;
}

void measure(const char* path, std::int64_t prompt) {
  const auto start = clock::now();
  const cross::Plan plan = cross::Plan::load(path);
  const double loaded = seconds_since(start);
  const auto executor = cross::make_openmp_executor();
  cross::Decoder decoder(plan, *executor);
  cross::DecoderCache cache = decoder.make_cache(prompt + 8);
  std::vector<float> logits(static_cast<std::size_t>(decoder.info().vocabulary));
  const std::vector<std::int32_t> ids(static_cast<std::size_t>(prompt), 1);
  decoder.run(ids, cache, logits);
  const double first = seconds_since(start);
  for (int i = 0; i < 8; ++i) decoder.run(std::span(ids).first(1), cache, logits);
  std::cout << fmt::format(
      "{} tokens of prompt: loaded after {:.3f} s, first token after {:.3f} s\n"
      "memory now {:.0f} MB (of files {:.0f}, of its own {:.0f}), at most {:.0f} MB\n",
      prompt, loaded, first, memory("VmRSS"), memory("RssFile"), memory("RssAnon"), memory("VmHWM"));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::cerr << "usage: first_token PLAN [TOKENS_OF_PROMPT]\n";
    return 2;
  }
  try {
    measure(argv[1], argc == 3 ? std::stoll(argv[2]) : 1);
    return 0;
  } catch (const cross::Error& error) {
    std::cerr << "first_token: error: " << error.what() << '\n';
    return static_cast<int>(error.exit_code());
  }
}
