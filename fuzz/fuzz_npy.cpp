#include "fuzz_target.h"
#include "io/npy.h"

void parse(std::span<const std::byte> file) { cross::io::read_npy(file, "f.npy"); }
