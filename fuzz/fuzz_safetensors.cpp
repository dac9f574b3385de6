#include "cross/error.h"
#include "fuzz_target.h"
#include "io/safetensors_reader.h"

// What is accepted must cover the file: the bytes of all tensors, read here, end where it ends.
void parse(std::span<const std::byte> file) {
  const auto contents = cross::io::read_safetensors(file, "f.safetensors");
  const std::byte* end = nullptr;
  unsigned sum = 0;
  for (const auto& tensor : contents.tensors) {
    if (end != nullptr && tensor.bytes.data() != end)
      throw cross::InternalError("tensors do not follow each other");
    end = tensor.bytes.data() + tensor.bytes.size();
    for (const std::byte b : tensor.bytes) sum += static_cast<unsigned>(b);
  }
  if (end != nullptr && end != file.data() + file.size())
    throw cross::InternalError("the tensors do not end the file");
  volatile unsigned read = sum;
  static_cast<void>(read);
}
