// Every kernel of the table that this machine can run, against float64: nothing here names a kernel.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <limits>

#include "kernels/run_kernel.h"

namespace cross::kernels::testing {
namespace {

using cross::testing::exact_product;
using cross::testing::mismatch;
using cross::testing::n_m_array;
using cross::testing::Product;
using cross::testing::random_array;

constexpr int row_counts[] = {1, 2, 3, 4, 5, 7, 16, 33, 96, 128, 256};
constexpr int column_counts[] = {1, 2, 3, 31, 63, 64, 65, 127, 128, 129, 255, 256, 257, 384, 1000};
constexpr double densities[] = {0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0};
constexpr KeepOf groups[] = {{1, 4}, {2, 4}, {3, 4}, {2, 8}, {5, 8}, {4, 16}, {8, 32}, {20, 32}};
constexpr int tile_tokens[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                               13, 14, 15, 16, 17, 31, 32, 33, 48, 49, 63, 64};
constexpr int dot_tokens[] = {1, 2, 3, 4, 5, 6, 7, 8};

class EveryKernel : public ::testing::TestWithParam<const Kernel*> {
 protected:
  const Kernel& kernel() const { return *GetParam(); }
  bool n_m() const { return kernel().format == Format::n_m; }
  std::span<const int> token_counts() const {
    return kernel().tile != nullptr ? std::span<const int>(tile_tokens) : std::span<const int>(dot_tokens);
  }
  int widest() const {
    return kernel().tile != nullptr ? tile_vectors(kernel().lanes).back() * kernel().lanes : max_dot_tokens;
  }
  /// vdpbf16ps counts subnormal inputs as zero: only the other units are held to them.
  Values hardest() const { return kernel().isa == Isa::avx512_bf16 ? Values::wide : Values::extreme; }

  /// Weight number `step`: densities (or keep:group) take turns.
  Array weight(unsigned step, std::int64_t rows, std::int64_t cols, Values values) const {
    if (!n_m())
      return random_array(step, kernel().dtype(), rows, cols, densities[step % std::size(densities)], values);
    const KeepOf g = group(step);
    return n_m_array(step, kernel().dtype(), rows, cols, g.keep, g.group, values);
  }
  KeepOf group(unsigned step) const { return n_m() ? groups[step % std::size(groups)] : KeepOf{}; }
  Array activations(unsigned step, std::int64_t tokens, std::int64_t cols, Values values) const {
    return random_array(step + 1000, kernel().dtype(), tokens, cols, 1.0, values);
  }

  void expect_close(const std::vector<float>& y, const Product& exact, float initial = 0.0f) const {
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double tolerance = exact.tolerance[i] + static_cast<double>(std::abs(initial)) * 1e-4;
      const std::string error = mismatch(exact.value[i] + static_cast<double>(initial), tolerance, y[i]);
      ASSERT_EQ(error, "") << "at " << i << " of " << y.size();
    }
  }
};

std::string test_name(const ::testing::TestParamInfo<const Kernel*>& info) {
  std::string name = info.param->id();
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

TEST_P(EveryKernel, multiplies_every_shape) {
  unsigned step = 0;
  for (const int rows : row_counts) {
    for (const int cols : column_counts) {
      const int tokens = token_counts()[step * 7 % token_counts().size()];
      // Densities and keep:group must not walk in step with the columns.
      const unsigned kind = step + step / 15;
      const Array w = weight(kind, rows, cols, step % 3 == 0 ? hardest() : Values::ordinary);
      const Array x = activations(step, tokens, cols, step % 3 == 0 ? hardest() : Values::ordinary);
      SCOPED_TRACE(::testing::Message() << rows << "x" << cols << ", " << tokens << " tokens, kind " << kind);
      expect_close(run_kernel(kernel(), w, x, group(kind)), exact_product(w, x));
      if (HasFatalFailure()) return;
      ++step;
    }
  }
}

TEST_P(EveryKernel, multiplies_every_token_count_and_density) {
  unsigned step = 0;
  for (const int tokens : token_counts()) {
    for (unsigned kind = 0; kind < 8; ++kind, ++step) {
      const Array w = weight(kind, 6, 140 + kind, Values::ordinary);
      const Array x = activations(step, tokens, w.cols(), Values::ordinary);
      SCOPED_TRACE(::testing::Message() << tokens << " tokens, kind " << kind);
      expect_close(run_kernel(kernel(), w, x, group(kind)), exact_product(w, x));
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(EveryKernel, is_exact_on_integers) {
  for (unsigned kind = 0; kind < 8; ++kind) {
    const int tokens = token_counts()[kind * 5 % token_counts().size()];
    const Array w = weight(kind, 9, 300 + kind, Values::integers);
    const Array x = activations(kind, tokens, w.cols(), Values::integers);
    const std::vector<float> y = run_kernel(kernel(), w, x, group(kind), 0, 3.0f);
    const Product exact = exact_product(w, x);
    for (std::size_t i = 0; i < y.size(); ++i)
      ASSERT_EQ(y[i], static_cast<float>(exact.value[i]) + 3.0f) << "kind " << kind << ", at " << i;
  }
}

TEST_P(EveryKernel, accepts_every_tile_width) {
  if (kernel().tile == nullptr) return;  // dot kernels have no tiles
  const Array w = weight(3, 13, 200, Values::integers);
  const Array all = activations(5, widest(), w.cols(), Values::integers);
  const Product exact = exact_product(w, all);
  for (const int vectors : tile_vectors(kernel().lanes)) {
    // A full tile, one token less than full, and one token alone in a tile wider than it needs.
    for (const int tokens : {vectors * kernel().lanes, vectors * kernel().lanes - 1, 1}) {
      Array x(kernel().dtype(), tokens, w.cols());
      std::memcpy(x.bytes().data(), all.bytes().data(), x.bytes().size());
      const std::vector<float> y = run_kernel(kernel(), w, x, group(3), vectors);
      for (std::size_t i = 0; i < y.size(); ++i)
        ASSERT_EQ(y[i], static_cast<float>(exact.value[i])) << vectors << " vectors, " << tokens << " tokens";
    }
  }
}

TEST_P(EveryKernel, is_the_same_bit_for_bit_every_time) {
  const Array w = weight(5, 37, 515, hardest());
  const Array x = activations(5, std::min(widest(), 21), w.cols(), hardest());
  const std::vector<float> first = run_kernel(kernel(), w, x, group(5));
  for (int again = 0; again < 3; ++again) {
    const std::vector<float> y = run_kernel(kernel(), w, x, group(5));
    ASSERT_EQ(std::memcmp(first.data(), y.data(), first.size() * 4), 0);
  }
}

TEST_P(EveryKernel, a_token_does_not_depend_on_its_neighbours) {
  // One tile width per call: the same instructions run for every token in it.
  const Array w = weight(4, 11, 333, Values::ordinary);
  const Array x = activations(6, widest(), w.cols(), Values::ordinary);
  const int vectors = kernel().tile != nullptr ? tile_vectors(kernel().lanes).back() : 0;
  const std::vector<float> y = run_kernel(kernel(), w, x, group(4), vectors);
  Array other = x;
  for (std::int64_t t = 1; t < other.rows(); t += 2)
    for (std::int64_t c = 0; c < other.cols(); ++c) other.set(t, c, 1e30f);
  const std::vector<float> z = run_kernel(kernel(), w, other, group(4), vectors);
  for (std::int64_t t = 0; t < x.rows(); t += 2)
    for (std::size_t r = 0; r < 11; ++r)
      ASSERT_EQ(y[static_cast<std::size_t>(t) * 11 + r], z[static_cast<std::size_t>(t) * 11 + r]);
}

TEST_P(EveryKernel, keeps_special_weights) {
  // Column 0 of row 1: +Inf; row 2: NaN; row 3: −0.0 alone; row 4: both infinities; the others are ordinary.
  constexpr float infinity = std::numeric_limits<float>::infinity();
  Array w(kernel().dtype(), 7, 130);
  w.set(0, 5, 2.0f);
  w.set(1, 4, infinity);
  w.set(2, 129, std::numeric_limits<float>::quiet_NaN());
  w.set(3, 64, -0.0f);
  w.set(4, 1, infinity);
  w.set(4, 100, -infinity);
  w.set(6, 128, -1.5f);
  Array x(kernel().dtype(), 3, 130);
  for (std::int64_t t = 0; t < 3; ++t)
    for (std::int64_t c = 0; c < 130; ++c) x.set(t, c, t == 1 ? -1.0f : 1.0f);
  const KeepOf any = n_m() ? KeepOf{2, 4} : KeepOf{};
  const std::vector<float> y = run_kernel(kernel(), w, x, any);
  for (std::size_t t = 0; t < 3; ++t) {
    const float sign = t == 1 ? -1.0f : 1.0f;
    EXPECT_EQ(y[t * 7 + 0], 2.0f * sign);
    EXPECT_EQ(y[t * 7 + 1], infinity * sign);
    EXPECT_TRUE(std::isnan(y[t * 7 + 2]));
    EXPECT_EQ(y[t * 7 + 3], 0.0f);
    EXPECT_TRUE(std::isnan(y[t * 7 + 4]));
    EXPECT_EQ(y[t * 7 + 5], 0.0f);
    EXPECT_EQ(y[t * 7 + 6], -1.5f * sign);
  }
}

INSTANTIATE_TEST_SUITE_P(Table, EveryKernel, ::testing::ValuesIn(runnable_kernels()), test_name);

TEST(Kernels, of_all_instruction_sets_agree) {
  // Against the scalar row of the same format, shape and arithmetic; the arithmetic that only one ISA has
  // (bf16_pair) is compared with bf16_widened, which sees the same weights.
  for (const Kernel* kernel : runnable_kernels()) {
    if (kernel->isa == Isa::scalar) continue;
    const Kernel* scalar = nullptr;
    for (const Kernel* other : runnable_kernels())
      if (other->isa == Isa::scalar && other->format == kernel->format && other->shape == kernel->shape &&
          other->dtype() == kernel->dtype())
        scalar = other;
    ASSERT_NE(scalar, nullptr) << kernel->id();
    const KeepOf any = kernel->format == Format::n_m ? KeepOf{5, 8} : KeepOf{};
    const Array w = n_m_array(7, kernel->dtype(), 18, 515, 5, 8, Values::ordinary);
    const Array x = random_array(8, kernel->dtype(), 7, 515, 1.0, Values::ordinary);
    const Product exact = exact_product(w, x);
    const std::vector<float> a = run_kernel(*scalar, w, x, any);
    const std::vector<float> b = run_kernel(*kernel, w, x, any);
    for (std::size_t i = 0; i < a.size(); ++i)
      ASSERT_EQ(mismatch(a[i], exact.tolerance[i], b[i]), "") << kernel->id() << " at " << i;
  }
}

}  // namespace
}  // namespace cross::kernels::testing
