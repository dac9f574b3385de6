// Checks that a mistake of the user is refused with a message that helps.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cross/error.h"

namespace cross::testing {

/// Expects `call` to throw exactly `ErrorType` with one line that contains all of `parts`.
template <typename ErrorType, typename Call>
void expect_refused(Call&& call, const std::vector<std::string>& parts) {
  try {
    call();
    ADD_FAILURE() << "accepted; expected: " << ::testing::PrintToString(parts);
  } catch (const ErrorType& error) {
    const std::string message = error.what();
    for (const auto& part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << "no \"" << part << "\" in: " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another kind of error: " << error.what();
  }
}

/// One row of a table of damaged files.
struct Mistake {
  std::string name;     ///< of the test: letters and digits
  std::string file;     ///< content
  std::string message;  ///< what the error must contain
};

inline std::string name_of_mistake(const ::testing::TestParamInfo<Mistake>& info) { return info.param.name; }
inline void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.name; }

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace cross::testing
