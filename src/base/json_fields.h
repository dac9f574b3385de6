// Typed fields of a JSON object that may be hostile.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace cross::base {

/// Reads typed fields of one JSON object and says which one is wrong (InputError). `object` must outlive it.
class Fields {
 public:
  /// @param where starts every message, for example "p.plan: layer \"a\"".
  Fields(const nlohmann::json& object, std::string where);

  bool has(const char* field) const { return object_.contains(field); }
  const nlohmann::json& at(const char* field) const;
  std::string text(const char* field) const;
  std::int64_t integer(const char* field, std::int64_t low, std::int64_t high) const;
  double number(const char* field) const;
  bool boolean(const char* field) const;
  const nlohmann::json& array(const char* field) const;
  const std::string& where() const { return where_; }

  /// Throws: FIELD is VALUE; it must be WANTED.
  [[noreturn]] void wrong(const char* field, const nlohmann::json& value, const std::string& wanted) const;

 private:
  const nlohmann::json& object_;
  std::string where_;
};

}  // namespace cross::base
