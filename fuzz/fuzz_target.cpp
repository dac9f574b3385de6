#include "fuzz_target.h"

#include <cstdint>

#include "cross/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    parse(std::as_bytes(std::span(data, size)));
  } catch (const cross::Error& error) {
    if (error.exit_code() == cross::ExitCode::internal_error) throw;
  }
  return 0;
}
