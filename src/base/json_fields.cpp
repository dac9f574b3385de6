#include "base/json_fields.h"

#include <fmt/format.h>

#include <limits>

#include "cross/error.h"

namespace cross::base {
namespace {

using nlohmann::json;

constexpr std::uint64_t max_integer = std::numeric_limits<std::int64_t>::max();

}  // namespace

Fields::Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (!object.is_object()) throw InputError(fmt::format("{}: is not an object", where_));
}

const json& Fields::at(const char* field) const {
  const auto found = object_.find(field);
  if (found == object_.end()) throw InputError(fmt::format("{}: \"{}\" is missing", where_, field));
  return *found;
}

std::string Fields::text(const char* field) const {
  const json& value = at(field);
  if (!value.is_string()) wrong(field, value, "a string");
  return value.get<std::string>();
}

std::int64_t Fields::integer(const char* field, std::int64_t low, std::int64_t high) const {
  const json& value = at(field);
  if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<std::uint64_t>() > max_integer))
    wrong(field, value, fmt::format("an integer from {} to {}", low, high));
  const auto number = value.get<std::int64_t>();
  if (number < low || number > high) wrong(field, value, fmt::format("an integer from {} to {}", low, high));
  return number;
}

double Fields::number(const char* field) const {
  const json& value = at(field);
  if (!value.is_number()) wrong(field, value, "a number");
  return value.get<double>();
}

bool Fields::boolean(const char* field) const {
  const json& value = at(field);
  if (!value.is_boolean()) wrong(field, value, "true or false");
  return value.get<bool>();
}

const json& Fields::array(const char* field) const {
  const json& value = at(field);
  if (!value.is_array()) wrong(field, value, "an array");
  return value;
}

void Fields::wrong(const char* field, const json& value, const std::string& wanted) const {
  // A hostile value can be of any length and hold any bytes.
  const std::string shown = value.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 80);
  throw InputError(fmt::format("{}: \"{}\" is {}; it must be {}", where_, field, shown, wanted));
}

}  // namespace cross::base
