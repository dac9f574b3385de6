// How fast the tokeniser of a folder is, and the ids that it gives: for bench/compare_tokenizers.py, which
// compares both with the reference's libraries.
//
//   bench_tokenizer FOLDER FILE          tokens per second of FILE as one text, and line by line
//   bench_tokenizer FOLDER TEXTS --ids   TEXTS is a JSON list of texts; one JSON object a line: ids, and
//   their text
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/tokenizer/text_stream.h"
#include "model/tokenizer/tokenizer.h"

namespace {

using clock_type = std::chrono::steady_clock;

std::string read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(fmt::format("{}: cannot be read", path));
  return {std::istreambuf_iterator<char>(file), {}};
}

void print_ids(const cross::model::Tokenizer& tokenizer, const std::string& texts) {
  for (const auto& text : nlohmann::json::parse(texts)) {
    const auto ids = tokenizer.encode(text.get<std::string>());
    fmt::print("{}\n", nlohmann::json{{"ids", ids}, {"text", cross::model::decode(tokenizer, ids)}}.dump());
  }
}

/// The best of several passes over `texts`.
void print_speed(const cross::model::Tokenizer& tokenizer, const char* what,
                 const std::vector<std::string>& texts) {
  constexpr int passes = 5;
  double best = 0;
  std::size_t tokens = 0, bytes = 0;
  for (int pass = 0; pass < passes; ++pass) {
    tokens = bytes = 0;
    const auto start = clock_type::now();
    for (const std::string& text : texts) {
      tokens += tokenizer.encode(text).size();
      bytes += text.size();
    }
    const double seconds = std::chrono::duration<double>(clock_type::now() - start).count();
    best = pass == 0 ? seconds : std::min(best, seconds);
  }
  fmt::print("{}\n", nlohmann::json{{"what", what},
                                    {"tokens", tokens},
                                    {"tokens_per_s", static_cast<double>(tokens) / best},
                                    {"bytes_per_s", static_cast<double>(bytes) / best}}
                         .dump());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 3) throw std::runtime_error("usage: bench_tokenizer FOLDER FILE [--ids]");
    const auto start = clock_type::now();
    const auto tokenizer = cross::model::read_tokenizer(argv[1]);
    if (tokenizer == nullptr)
      throw std::runtime_error(fmt::format("{}: has neither tokenizer.json nor tokenizer.model", argv[1]));
    const double seconds = std::chrono::duration<double>(clock_type::now() - start).count();
    const std::string text = read(argv[2]);
    if (argc > 3) {
      print_ids(*tokenizer, text);
      return 0;
    }
    fmt::print("{}\n", nlohmann::json{{"what", "load"}, {"seconds", seconds}}.dump());
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      lines.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    print_speed(*tokenizer, "one text", {text});
    print_speed(*tokenizer, "line by line", lines);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_tokenizer: {}\n", error.what());
    return 1;
  }
}
