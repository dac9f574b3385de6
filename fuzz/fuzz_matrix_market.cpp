#include "fuzz_target.h"
#include "io/matrix_market.h"

void parse(std::span<const std::byte> file) {
  cross::io::read_matrix_market(file, "f.mtx", 0, most_dense_bytes);
}
