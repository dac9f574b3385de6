// pack → check → decode: what goes in comes out, and nothing else is accepted.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>

#include "compiler/pack/pack.h"
#include "cross/error.h"
#include "kernels/run_kernel.h"
#include "plan/formats/decode.h"
#include "support/guarded_buffer.h"

namespace cross::kernels::testing {
namespace {

using cross::testing::GuardedBuffer;
using cross::testing::masked_array;
using cross::testing::n_m_array;
using cross::testing::random_array;
using formats::SegmentShape;

constexpr Arithmetic arithmetics[] = {Arithmetic::fp32, Arithmetic::bf16_widened, Arithmetic::bf16_pair};
constexpr Format packed_formats[] = {Format::dense_panel, Format::bitmap, Format::index8,
                                     Format::n_m,         Format::block,  Format::empty};

DType dtype_of(Arithmetic arithmetic) { return arithmetic == Arithmetic::fp32 ? DType::fp32 : DType::bf16; }

using Decoded = std::map<std::pair<int, std::int64_t>, std::uint32_t>;

/// The kept bits of a segment; padding (zeros) may stand anywhere inside the matrix, but only once.
Decoded decode(std::span<const std::byte> bytes, const SegmentShape& shape) {
  Decoded all;
  formats::decode_segment(bytes, shape, [&](int row, std::int64_t column, std::uint32_t bits) {
    EXPECT_TRUE(row >= 0 && row < shape.rows && column >= 0 && column < shape.columns)
        << row << ", " << column;
    EXPECT_TRUE(all.emplace(std::pair(row, column), bits).second) << row << ", " << column << " twice";
  });
  std::erase_if(all, [](const auto& entry) { return entry.second == 0; });
  return all;
}

Decoded kept(const Array& w) {
  Decoded all;
  for (std::int64_t r = 0; r < w.rows(); ++r)
    for (std::int64_t c = 0; c < w.cols(); ++c)
      if (w.bits(r, c) != 0) all[{static_cast<int>(r), c}] = w.bits(r, c);
  return all;
}

/// `bytes` right before a guard page, so that a read past them is a crash.
formats::CheckedSize check(std::span<const std::byte> bytes, const SegmentShape& shape) {
  GuardedBuffer guarded(bytes.size());
  if (!bytes.empty()) std::memcpy(guarded.data(), bytes.data(), bytes.size());
  return formats::check_segment({guarded.data(), bytes.size()}, shape);
}

void expect_round_trip(const Array& w, const SegmentShape& shape) {
  const std::vector<std::byte> bytes = pack(w, shape);
  const auto checked = check(bytes, shape);
  ASSERT_EQ(checked.error, "");
  EXPECT_EQ(checked.bytes, bytes.size());
  EXPECT_EQ(bytes.size() % 4, 0u);
  if (shape.format == Format::empty) {
    EXPECT_TRUE(bytes.empty());
  } else {
    EXPECT_EQ(decode(bytes, shape), kept(w));
  }
}

TEST(Segments, hold_exactly_the_kept_bits) {
  std::mt19937_64 random(1);
  const auto structures = [](DType dtype, std::int64_t rows, std::int64_t cols, unsigned seed) {
    const auto none = [](auto, auto) { return false; };
    return std::vector<Array>{
        random_array(seed, dtype, rows, cols, 0.02, Values::extreme),
        random_array(seed, dtype, rows, cols, 0.5, Values::extreme),
        random_array(seed, dtype, rows, cols, 1.0, Values::extreme),
        masked_array(seed, dtype, rows, cols, none, Values::ordinary),
        masked_array(
            seed, dtype, rows, cols, [](auto r, auto c) { return (r / 4 + c / 3) % 2 == 0; },
            Values::ordinary),
        masked_array(
            seed, dtype, rows, cols, [](auto r, auto) { return r == 0; }, Values::ordinary),
        masked_array(
            seed, dtype, rows, cols, [&](auto, auto c) { return c == cols - 1; }, Values::ordinary)};
  };
  for (const Arithmetic arithmetic : arithmetics)
    for (int round = 0; round < 40; ++round) {
      const auto rows = static_cast<std::int64_t>(1 + random() % 40);
      const auto cols = static_cast<std::int64_t>(1 + random() % 600);
      for (const Array& w : structures(dtype_of(arithmetic), rows, cols, static_cast<unsigned>(round)))
        for (const Format format : packed_formats) {
          if (format == Format::empty || format == Format::n_m) continue;
          SCOPED_TRACE(::testing::Message()
                       << name_of(format) << " " << name_of(arithmetic) << " " << rows << "x" << cols);
          expect_round_trip(w, shape_of(w, format, arithmetic));
          if (HasFailure()) return;
        }
    }
}

TEST(Segments, hold_exactly_the_kept_bits_of_n_m) {
  constexpr KeepOf groups[] = {{1, 4},  {2, 4},  {3, 4},   {2, 8},   {5, 8},
                               {4, 16}, {8, 32}, {20, 32}, {32, 32}, {1, 1}};
  for (const Arithmetic arithmetic : arithmetics)
    for (const KeepOf g : groups)
      for (const std::int64_t cols : {1, 3, 4, 7, 33, 64, 65, 127, 130, 515}) {
        const Array w = n_m_array(3, dtype_of(arithmetic), 5, cols, g.keep, g.group, Values::extreme);
        SCOPED_TRACE(::testing::Message() << g.keep << ":" << g.group << ", " << cols << " columns");
        expect_round_trip(w, shape_of(w, Format::n_m, arithmetic, g));
        if (HasFailure()) return;
      }
}

TEST(Segments, start_anywhere_at_a_multiple_of_the_block) {
  for (const Arithmetic arithmetic : arithmetics)
    for (const Format format : {Format::dense_panel, Format::bitmap, Format::index8, Format::block}) {
      const std::int64_t begin = k_block_elements * columns_per_element(arithmetic);
      const Array w = random_array(4, dtype_of(arithmetic), 6, begin + 77, 0.4, Values::ordinary);
      const std::vector<std::int32_t> rows = {4, 2, 0};
      const compiler::PanelSource source(w.view(), dtype_of(arithmetic), rows);
      const SegmentShape shape{format, arithmetic, 3, 77, 0, 0};
      std::vector<std::byte> bytes(12, std::byte{7});  // appended to what is there
      compiler::pack_segment(source, begin, shape, bytes);
      Decoded expected;
      for (int r = 0; r < 3; ++r)
        for (std::int64_t c = 0; c < 77; ++c)
          if (w.bits(rows[static_cast<std::size_t>(r)], begin + c) != 0)
            expected[{r, c}] = w.bits(rows[static_cast<std::size_t>(r)], begin + c);
      EXPECT_EQ(decode(std::span(bytes).subspan(12), shape), expected) << name_of(format);
      EXPECT_EQ(source.kept(begin, begin + 77), static_cast<std::int64_t>(expected.size()));
    }
}

TEST(Segments, convert_to_the_dtype_of_the_plan) {
  // fp16 → fp32 is exact; fp32 → bf16 rounds, and what rounds to zero is pruned.
  Array half(DType::fp16, 1, 3);
  half.set(0, 0, 0.1f);
  half.set(0, 2, -0.0f);
  const auto wide = decode(pack(half, shape_of(half, Format::index8, Arithmetic::fp32)),
                           shape_of(half, Format::index8, Arithmetic::fp32));
  EXPECT_EQ(wide, (Decoded{{{0, 0}, std::bit_cast<std::uint32_t>(float_from_fp16(fp16_from_float(0.1f)))},
                           {{0, 2}, 0x80000000u}}));
  Array full(DType::fp32, 1, 3);
  full.set(0, 0, 0.1f);
  full.set(0, 1, 0x1p-149f);
  const auto narrow = decode(pack(full, shape_of(full, Format::index8, Arithmetic::bf16_widened)),
                             shape_of(full, Format::index8, Arithmetic::bf16_widened));
  EXPECT_EQ(narrow, (Decoded{{{0, 0}, bf16_from_float(0.1f)}}));
}

TEST(Segments, refuse_a_region_that_n_m_cannot_hold) {
  const Array w = random_array(1, DType::fp32, 1, 4, 1.0, Values::ordinary);
  EXPECT_THROW(pack(w, shape_of(w, Format::n_m, Arithmetic::fp32, {2, 4})), InternalError);
  EXPECT_THROW(pack(w, shape_of(w, Format::dense, Arithmetic::fp32)), InternalError);
}

TEST(Segments, of_index8_have_at_most_256_rows) {
  for (const std::int64_t rows : {255, 256, 257}) {
    const Array w = random_array(1, DType::fp32, rows, 130, 0.3, Values::ordinary);
    const SegmentShape shape = shape_of(w, Format::index8, Arithmetic::fp32);
    if (rows <= 256) {
      expect_round_trip(w, shape);
    } else {
      EXPECT_THROW(pack(w, shape), InternalError);
      EXPECT_NE(check(std::vector<std::byte>(4096), shape).error.find("257 rows"), std::string::npos);
    }
  }
}

/// One small segment of every format and arithmetic.
template <class Function>
void for_every_segment(Function function) {
  for (const Arithmetic arithmetic : arithmetics)
    for (const Format format : packed_formats) {
      const KeepOf g = format == Format::n_m ? KeepOf{2, 4} : KeepOf{};
      const Array w = n_m_array(6, dtype_of(arithmetic), 6, 150, 2, 4, Values::ordinary);
      const SegmentShape shape = shape_of(w, format, arithmetic, g);
      SCOPED_TRACE(::testing::Message() << name_of(format) << " " << name_of(arithmetic));
      function(shape, pack(w, shape));
    }
}

TEST(CheckSegment, refuses_every_truncation) {
  for_every_segment([](const SegmentShape& shape, const std::vector<std::byte>& bytes) {
    for (std::size_t size = 0; size < bytes.size(); ++size)
      ASSERT_NE(check(std::span(bytes).first(size), shape).error, "") << size << " of " << bytes.size();
  });
}

TEST(CheckSegment, tells_how_many_bytes_it_used) {
  for_every_segment([](const SegmentShape& shape, const std::vector<std::byte>& bytes) {
    std::vector<std::byte> longer = bytes;
    longer.resize(bytes.size() + 40, std::byte{0xff});
    const auto checked = check(longer, shape);
    EXPECT_EQ(checked.error, "");
    EXPECT_EQ(checked.bytes, bytes.size());
  });
}

TEST(CheckSegment, what_it_accepts_can_be_decoded_and_run) {
  // Random damage: either refused, or the decoder and every kernel stay inside the segment and its overread.
  std::mt19937_64 random(2);
  int accepted = 0, refused = 0;
  for_every_segment([&](const SegmentShape& shape, const std::vector<std::byte>& bytes) {
    if (bytes.empty()) return;
    for (int round = 0; round < 400; ++round) {
      GuardedBuffer damaged(bytes.size() + segment_overread);
      std::memcpy(damaged.data(), bytes.data(), bytes.size());
      for (std::uint64_t flips = 1 + random() % 3; flips > 0; --flips)
        damaged.data()[random() % bytes.size()] ^= static_cast<std::byte>(1u << random() % 8);
      const std::span<const std::byte> all(damaged.data(), bytes.size());
      const auto checked = check(all, shape);
      if (!checked.error.empty()) {
        ++refused;
        continue;
      }
      ++accepted;
      decode(all.first(checked.bytes), shape);
      for (const Kernel* kernel : runnable_kernels()) {
        if (kernel->format != shape.format || kernel->arithmetic != shape.arithmetic) continue;
        const Array x = random_array(1, dtype_of(shape.arithmetic), 3, shape.columns, 1.0, Values::ordinary);
        const auto end = run_packed(*kernel, damaged.data(), shape, x).end;
        if (end != nullptr) {
          ASSERT_EQ(end, damaged.data() + checked.bytes);
        }
      }
    }
  });
  EXPECT_GT(accepted, 100);
  EXPECT_GT(refused, 100);
}

TEST(CheckSegment, says_what_is_wrong) {
  const Array w = masked_array(
      1, DType::fp32, 2, 70, [](auto, auto c) { return c == 3 || c == 5; }, Values::integers);
  struct Damage {
    Format format;
    std::size_t at;
    int value;
    std::string message;
  };
  // index8: u32 entries (4) · rows 0, 1 · pad · counts 2, 2 · pad · offsets 3, 5, 3, 5 · values;
  // bitmap: two mask words per row.
  const std::vector<Damage> table = {
      {Format::index8, 0, 5, "K block at 0 runs past the end"},
      {Format::index8, 3, 0x7f, "K block at 0 runs past the end"},
      {Format::index8, 0, 3, "the counts add up to more than its 3 entries"},
      {Format::index8, 4, 2, "list 0 names row 2 of 2 rows"},
      {Format::index8, 5, 0, "list 1 names row 0 of 2 rows, or names it twice"},
      {Format::index8, 8, 3, "list 0: offset 3 after 5"},
      {Format::index8, 8, 200, "the counts add up to more than its 4 entries"},
      {Format::index8, 9, 1, "the counts add up to 3, not to its 4 entries"},
      {Format::index8, 9, 3, "list 1 is longer than the one before it"},
      {Format::index8, 13, 70, "list 0: offset 70 after 3; offsets ascend and stay below 70"},
      {Format::index8, 13, 3, "list 0: offset 3 after 3"},
      {Format::index8, 14, 9, "list 1: offset 5 after 9"},
      {Format::block, 5, 3, "list 0: offset"},
      {Format::bitmap, 8, 0x40, "row 0: a mask bit past column 69 is set"},
      {Format::bitmap, 0, 0xff, "row 1: the mask runs past the end"},
      {Format::bitmap, 24, 0xff, "the values run past the end"},
      {Format::n_m, 0, 0x28 | 1, "mask bits set; 2:4 needs 36"},
  };
  for (const Damage& damage : table) {
    const SegmentShape shape =
        shape_of(w, damage.format, Arithmetic::fp32, damage.format == Format::n_m ? KeepOf{2, 4} : KeepOf{});
    std::vector<std::byte> bytes = pack(w, shape);
    bytes[damage.at] = static_cast<std::byte>(damage.value);
    if (damage.format == Format::block) bytes[8] = static_cast<std::byte>(69), bytes[9] = bytes[8];
    const auto checked = check(bytes, shape);
    EXPECT_NE(checked.error.find(damage.message), std::string::npos)
        << name_of(damage.format) << " byte " << damage.at << ": " << checked.error;
  }
}

}  // namespace
}  // namespace cross::kernels::testing
