#include "runtime/run_layer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "support/guarded_buffer.h"

namespace cross::testing {
namespace {

double activated(Activation activation, double x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return std::isnan(x) ? x : std::max(x, 0.0);
    case Activation::gelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case Activation::silu:
      return x / (1 + std::exp(-x));
  }
  return x;
}

}  // namespace

Array run_layer(Session& session, const Plan& plan, const Array& x, const Call& call) {
  constexpr std::size_t before = 64;
  const std::int64_t rows = plan.layers[call.layer].rows;
  Array y(plan.dtype, x.rows(), rows);
  GuardedBuffer input(x.bytes().size());
  if (!x.bytes().empty()) std::memcpy(input.data(), x.bytes().data(), x.bytes().size());
  GuardedBuffer output(before + y.bytes().size());
  std::memset(output.data(), 0x5a, before + y.bytes().size());
  std::byte* out = output.data() + before;
  if (call.residual_in_y) std::memcpy(out, call.residual->bytes().data(), y.bytes().size());
  const std::size_t needed = session.workspace_bytes(call.layer, x.rows());
  GuardedBuffer workspace((needed + 63) / 64 * 64);

  session.run(call.layer, {.x = input.data(),
                           .y = out,
                           .tokens = x.rows(),
                           .residual = call.residual_in_y         ? out
                                       : call.residual != nullptr ? call.residual->bytes().data()
                                                                  : nullptr,
                           .activation = call.activation,
                           .bias = call.bias,
                           .workspace = {workspace.data(), needed}});

  EXPECT_TRUE(std::all_of(output.data(), out, [](std::byte b) { return b == std::byte{0x5a}; }))
      << "wrote before y";
  if (!y.bytes().empty()) std::memcpy(y.bytes().data(), out, y.bytes().size());
  return y;
}

void expect_result(const Array& y, const Product& product, const Call& call, const std::vector<float>& bias,
                   bool dense) {
  const double rounding = y.dtype() == DType::fp32 ? 0x1p-23 : 0x1p-8;
  for (std::int64_t t = 0; t < y.rows(); ++t)
    for (std::int64_t r = 0; r < y.cols(); ++r) {
      const std::size_t at = product.index(t, r);
      double sum = product.value[at];
      if (call.bias && !bias.empty()) sum += static_cast<double>(bias[static_cast<std::size_t>(r)]);
      double expected = activated(call.activation, sum);
      // The steepest activation has slope 1.13; each is computed to within a few units in the last place.
      double tolerance = 1.2 * product.tolerance[at] + 0x1p-20 * (std::abs(sum) + 0.1);
      if (dense) tolerance += 1.2 * rounding * std::abs(sum);
      if (call.residual != nullptr) expected += static_cast<double>(call.residual->at(t, r));
      tolerance += rounding * std::abs(expected);
      ASSERT_EQ(mismatch(expected, tolerance, y.at(t, r)), "") << "token " << t << ", row " << r;
    }
}

Array first_tokens(const Array& x, std::int64_t tokens) {
  Array first(x.dtype(), tokens, x.cols());
  if (tokens > 0) std::memcpy(first.bytes().data(), x.bytes().data(), first.bytes().size());
  return first;
}

bool same_bits(const Array& a, const Array& b) { return a.dtype() == b.dtype() && a.bytes() == b.bytes(); }

}  // namespace cross::testing
