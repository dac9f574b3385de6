#include "fuzz_target.h"
#include "io/smtx.h"

void parse(std::span<const std::byte> file) { cross::io::read_smtx(file, "f.smtx", 0, most_dense_bytes); }
