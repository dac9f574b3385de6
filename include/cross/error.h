// Errors a user can meet. Each class is one exit code of the command line.
#pragma once

#include <stdexcept>
#include <string>

namespace cross {

/// Exit codes of `cross`; the C++ API throws the matching class.
enum class ExitCode : int {
  done = 0,
  internal_error = 1,
  wrong_usage = 2,
  bad_input = 3,
  verification_failed = 4,
  device_not_available = 5,
};

/// Base of everything that CROSS throws on purpose. `what()` is one sentence for the user: it names the file,
/// the field and the value, and says what would be right.
class Error : public std::runtime_error {
 public:
  ExitCode exit_code() const noexcept { return code_; }

 protected:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}

 private:
  ExitCode code_;
};

/// An option, argument or call that cannot mean anything (exit code 2).
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(ExitCode::wrong_usage, message) {}
};

/// A file that is damaged, hostile, or not what it says it is (exit code 3).
class InputError : public Error {
 public:
  explicit InputError(const std::string& message) : Error(ExitCode::bad_input, message) {}
};

/// A result that differs from the reference by more than its tolerance (exit code 4).
class VerificationError : public Error {
 public:
  explicit VerificationError(const std::string& message) : Error(ExitCode::verification_failed, message) {}
};

/// The plan or the option asks for a device or CPU feature that this machine lacks (exit code 5).
class DeviceError : public Error {
 public:
  explicit DeviceError(const std::string& message) : Error(ExitCode::device_not_available, message) {}
};

/// We broke something: says which invariant was violated (exit code 1). Not for anything a user can cause.
class InternalError : public Error {
 public:
  explicit InternalError(const std::string& message) : Error(ExitCode::internal_error, message) {}
};

}  // namespace cross
