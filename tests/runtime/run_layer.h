// One call of a session on memory that tells when it is overstepped, and what the call must give.
#pragma once

#include <span>
#include <vector>

#include "cross/session.h"
#include "support/make_plan.h"
#include "support/sparse_matrix.h"

namespace cross::testing {

struct Call {
  Activation activation = Activation::none;
  const Array* residual = nullptr;
  bool bias = true;
  std::size_t layer = 0;
  bool residual_in_y = false;  ///< the residual is what y held
};

/// Runs on exactly the workspace that the session asks for. x, y and the workspace end at guard pages;
/// expects the bytes before y unchanged.
Array run_layer(Session& session, const Plan& plan, const Array& x, const Call& call = {});

/// Expects y = activation(product + bias) + residual for the first tokens of `product`, within its tolerance
/// and the roundings of y's dtype. `dense`: the product was rounded to that dtype before the activation.
void expect_result(const Array& y, const Product& product, const Call& call, const std::vector<float>& bias,
                   bool dense = false);

/// The first `tokens` rows.
Array first_tokens(const Array& x, std::int64_t tokens);

/// As bits, so that NaN equals NaN and −0.0 is not 0.0.
bool same_bits(const Array& a, const Array& b);

}  // namespace cross::testing
