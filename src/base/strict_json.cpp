#include "base/strict_json.h"

#include <fmt/format.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "base/quote.h"
#include "cross/error.h"

namespace cross::base {
namespace {

using nlohmann::json;

/// Builds the value from the parser's events. (The library's parser callback would do for the checks, but its
/// time is quadratic in the number of members.)
class Builder final : public nlohmann::json_sax<json> {
 public:
  explicit Builder(std::string_view where) : where_(where) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { throw InternalError("JSON text with a binary value"); }

  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& key) override {
    const auto [member, fresh] = open_.back()->emplace(std::move(key), nullptr);
    if (!fresh)
      throw InputError(
          fmt::format("{} has the key {} twice; every key must be unique", where_, in_quotes(member.key())));
    member_ = &*member;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line …": the bracket is for developers.
    std::string_view reason = error.what();
    if (const auto end = reason.find("] "); end != std::string_view::npos) reason.remove_prefix(end + 2);
    constexpr std::size_t longest = 300;
    throw InputError(fmt::format("{} is not valid JSON: {}", where_, printable(reason.substr(0, longest))));
  }

  json take() { return std::move(root_); }

 private:
  json* place(json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    *member_ = std::move(value);
    return member_;
  }

  bool add(json value) {
    place(std::move(value));
    return true;
  }

  bool open(json value) {
    constexpr std::size_t deepest = 64;
    if (open_.size() == deepest)
      throw InputError(
          fmt::format("{} nests JSON deeper than {} levels; refused as damaged", where_, deepest));
    open_.push_back(place(std::move(value)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view where_;
  json root_;
  std::vector<json*> open_;  // a container does not move before it is closed: only the last one grows
  json* member_ = nullptr;   // of the last open object, whose key was read last
};

}  // namespace

json parse_strict_json(std::string_view text, std::string_view where) {
  Builder builder(where);
  json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

}  // namespace cross::base
