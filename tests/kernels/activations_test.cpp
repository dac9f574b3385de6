// Packing of activations: every implementation against the scalar one, bit for bit.
#include "kernels/cpu/activations.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "kernels/run_kernel.h"
#include "support/guarded_buffer.h"

namespace cross::kernels::testing {
namespace {

using cross::testing::GuardedBuffer;
using cross::testing::random_array;

constexpr Arithmetic arithmetics[] = {Arithmetic::fp32, Arithmetic::bf16_widened, Arithmetic::bf16_pair};
constexpr int column_counts[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 127, 128, 200};

DType dtype_of(Arithmetic arithmetic) { return arithmetic == Arithmetic::fp32 ? DType::fp32 : DType::bf16; }

/// Implementations that this CPU can run besides the scalar one.
std::vector<const ActivationKernels*> vector_implementations() {
  if (active_isa() == Isa::scalar) return {};
  return {&avx2_activations};
}

std::int64_t padded_columns(std::int64_t columns) { return (columns + 63) / 64 * 64; }

/// The activations just before a guard page, as the caller's may be.
class Input {
 public:
  explicit Input(const Array& x) : bytes_(x.bytes().size()) {
    if (!x.bytes().empty()) std::memcpy(bytes_.data(), x.bytes().data(), x.bytes().size());
  }
  const std::byte* data() { return bytes_.data(); }

 private:
  GuardedBuffer bytes_;
};

/// Packs all of `x` for tile kernels, in two steps along K.
std::pair<bool, std::vector<std::byte>> pack_tile(const ActivationKernels& kernels, const Array& x,
                                                  Arithmetic arithmetic, int width) {
  Input input(x);
  const std::int64_t elements = padded_columns(x.cols()) / columns_per_element(arithmetic);
  const std::size_t size = static_cast<std::size_t>(elements * width) * 4;
  GuardedBuffer out(size);
  std::memset(out.data(), 0xee, size);
  PackTileArgs args{.x = input.data(),
                    .row_bytes = x.cols() * static_cast<std::int64_t>(size_of(x.dtype())),
                    .arithmetic = arithmetic,
                    .tokens = static_cast<int>(x.rows()),
                    .width = width,
                    .columns = x.cols(),
                    .element_begin = 0,
                    .element_end = 16,
                    .out = out.data()};
  bool finite = kernels.pack_tile(args);
  args.element_begin = 16;
  args.element_end = elements;
  finite = kernels.pack_tile(args) && finite;
  return {finite, {out.data(), out.data() + size}};
}

std::pair<bool, std::vector<std::byte>> pack_dot(const ActivationKernels& kernels, const Array& x,
                                                 Arithmetic arithmetic) {
  Input input(x);
  const std::int64_t padded = padded_columns(x.cols());
  const std::size_t size = static_cast<std::size_t>(padded) * (arithmetic == Arithmetic::bf16_pair ? 2 : 4);
  GuardedBuffer out(size);
  std::memset(out.data(), 0xee, size);
  const bool finite = kernels.pack_dot({input.data(), arithmetic, x.cols(), padded, out.data()});
  return {finite, {out.data(), out.data() + size}};
}

TEST(PackTile, scalar_is_the_definition) {
  const Array x = random_array(1, DType::bf16, 3, 5, 1.0, Values::extreme);
  const auto [finite, packed] = pack_tile(scalar_activations, x, Arithmetic::bf16_pair, 8);
  EXPECT_TRUE(finite);
  ASSERT_EQ(packed.size(), 32u * 8 * 4);
  for (std::int64_t element = 0; element < 32; ++element)
    for (std::int64_t token = 0; token < 8; ++token) {
      std::uint32_t slot;
      std::memcpy(&slot, packed.data() + (element * 8 + token) * 4, 4);
      const auto column = [&](std::int64_t c) { return token < 3 && c < 5 ? x.bits(token, c) : 0u; };
      EXPECT_EQ(slot, column(2 * element) | column(2 * element + 1) << 16) << element << ", " << token;
    }

  const Array y = random_array(1, DType::fp32, 3, 5, 1.0, Values::extreme);
  const auto wide = pack_tile(scalar_activations, y, Arithmetic::fp32, 8).second;
  for (std::int64_t element = 0; element < 64; ++element)
    for (std::int64_t token = 0; token < 8; ++token) {
      std::uint32_t slot;
      std::memcpy(&slot, wide.data() + (element * 8 + token) * 4, 4);
      EXPECT_EQ(slot, token < 3 && element < 5 ? y.bits(token, element) : 0u);
    }
}

TEST(PackTile, every_implementation_writes_the_same_bits) {
  for (const ActivationKernels* kernels : vector_implementations())
    for (const Arithmetic arithmetic : arithmetics)
      for (const int columns : column_counts)
        for (const int tokens : {1, 2, 7, 8, 9, 16, 17, 24, 63, 64}) {
          const Array x = random_array(static_cast<unsigned>(columns), dtype_of(arithmetic), tokens, columns,
                                       0.9, Values::extreme);
          for (const int width : {(tokens + 7) / 8 * 8, 64})
            ASSERT_EQ(pack_tile(*kernels, x, arithmetic, width),
                      pack_tile(scalar_activations, x, arithmetic, width))
                << name_of(arithmetic) << ", " << columns << " columns, " << tokens << " tokens";
        }
}

TEST(PackDot, every_implementation_writes_the_same_bits) {
  for (const ActivationKernels* kernels : vector_implementations())
    for (const Arithmetic arithmetic : arithmetics)
      for (const int columns : column_counts) {
        const Array x = random_array(static_cast<unsigned>(columns), dtype_of(arithmetic), 1, columns, 0.9,
                                     Values::extreme);
        ASSERT_EQ(pack_dot(*kernels, x, arithmetic), pack_dot(scalar_activations, x, arithmetic))
            << name_of(arithmetic) << ", " << columns << " columns";
      }
}

TEST(Packing, notices_what_is_not_finite_wherever_it_stands) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const float strange[] = {infinity, -infinity, std::numeric_limits<float>::quiet_NaN()};
  auto implementations = vector_implementations();
  implementations.push_back(&scalar_activations);
  for (const ActivationKernels* kernels : implementations)
    for (const Arithmetic arithmetic : arithmetics)
      for (const int columns : {1, 7, 16, 19, 65}) {
        // The largest finite value is not mistaken for infinity.
        Array x(dtype_of(arithmetic), 9, columns);
        for (std::int64_t t = 0; t < 9; ++t)
          for (std::int64_t c = 0; c < columns; ++c)
            x.set(t, c, (c + t) % 2 == 0 ? 0x1.fep127f : -0x1.fep127f);
        const auto row = [&](std::int64_t t) {
          Array one(x.dtype(), 1, columns);
          std::memcpy(one.bytes().data(), x.view().row(t), one.bytes().size());
          return one;
        };
        ASSERT_TRUE(pack_tile(*kernels, x, arithmetic, 16).first);
        ASSERT_TRUE(pack_dot(*kernels, row(4), arithmetic).first);
        for (std::int64_t t = 0; t < 9; ++t)
          for (std::int64_t c = 0; c < columns; ++c) {
            const float was = x.at(t, c);
            x.set(t, c, strange[(t + c) % 3]);
            ASSERT_FALSE(pack_tile(*kernels, x, arithmetic, 16).first)
                << name_of(arithmetic) << " token " << t << ", column " << c;
            ASSERT_FALSE(pack_dot(*kernels, row(t), arithmetic).first)
                << name_of(arithmetic) << " column " << c;
            x.set(t, c, was);
          }
      }
}

TEST(AllFinite, looks_at_every_value_and_no_further) {
  auto implementations = vector_implementations();
  implementations.push_back(&scalar_activations);
  for (const ActivationKernels* kernels : implementations)
    for (const DType dtype : {DType::fp32, DType::bf16})
      for (const int count : {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100}) {
        const Array x = random_array(3, dtype, 1, count, 1.0, Values::extreme);
        ASSERT_TRUE(kernels->all_finite(Input(x).data(), count, dtype)) << count;
        for (int at = 0; at < count; ++at) {
          Array y = x;
          y.set(0, at,
                at % 2 == 0 ? -std::numeric_limits<float>::infinity()
                            : std::numeric_limits<float>::quiet_NaN());
          ASSERT_FALSE(kernels->all_finite(Input(y).data(), count, dtype)) << at << " of " << count;
        }
      }
}

}  // namespace
}  // namespace cross::kernels::testing
