#include "model/network.h"

#include <fmt/format.h>

#include "cross/error.h"

namespace cross::model {

void Network::limit_product_tokens(std::int64_t tokens) {
  if (tokens < 0) throw UsageError(fmt::format("a product of {} tokens makes no sense", tokens));
  set_product_tokens(tokens);
}

void Network::forget_times() {
  for (PartTime& part : parts()) part.seconds = 0;
}

}  // namespace cross::model
