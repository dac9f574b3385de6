#include "driver/dense_reference.h"

#include "cross/compile.h"

namespace cross::driver {

Plan dense_reference(const Model& reference, int threads) {
  CompileOptions options;
  options.scope = CompileOptions::Scope::model;
  options.threads = threads;
  options.format = "dense";
  options.measure = false;
  options.tokens = {512};
  return compile(reference, options);
}

}  // namespace cross::driver
