// The kernel table and the choice of an instruction set.
#include "kernels/table.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <set>
#include <string>

#include "cross/error.h"
#include "refusal.h"

namespace cross::kernels {
namespace {

using cross::testing::expect_refused;

TEST(KernelTable, ids_are_unique_and_findable) {
  std::set<std::string> ids;
  for (const Kernel& kernel : all_kernels()) {
    EXPECT_TRUE(ids.insert(kernel.id()).second) << kernel.id();
    EXPECT_EQ(find_kernel(kernel.id()), &kernel);
  }
  EXPECT_TRUE(ids.contains("index8.tile.fp32.avx2"));
  EXPECT_TRUE(ids.contains("bitmap.dot.bf16_pair.avx512_bf16"));
  EXPECT_EQ(find_kernel("index8.tile.fp32"), nullptr);
  EXPECT_EQ(find_kernel(""), nullptr);
}

TEST(KernelTable, rows_are_consistent) {
  for (const Kernel& kernel : all_kernels()) {
    SCOPED_TRACE(kernel.id());
    EXPECT_NE(kernel.tile != nullptr, kernel.dot != nullptr);
    EXPECT_EQ(kernel.shape, kernel.tile != nullptr ? "tile" : "dot");
    EXPECT_EQ(kernel.lanes, kernel.isa >= Isa::avx512 ? 16 : 8);
    EXPECT_EQ(kernel.dtype(), kernel.arithmetic == Arithmetic::fp32 ? DType::fp32 : DType::bf16);
    EXPECT_EQ(kernel.max_tokens() == max_dot_tokens, kernel.dot != nullptr);
    EXPECT_TRUE(kernel.format != Format::dense && kernel.format != Format::empty);
  }
}

struct Choice {
  Isa isa;
  DType dtype;
  Arithmetic arithmetic;
  Isa rows;  ///< ISA of the kernels that serve it
};

constexpr Choice choices[] = {
    {Isa::scalar, DType::fp32, Arithmetic::fp32, Isa::scalar},
    {Isa::scalar, DType::bf16, Arithmetic::bf16_widened, Isa::scalar},
    {Isa::avx2, DType::fp32, Arithmetic::fp32, Isa::avx2},
    {Isa::avx2, DType::bf16, Arithmetic::bf16_widened, Isa::avx2},
    {Isa::avx512, DType::fp32, Arithmetic::fp32, Isa::avx512},
    {Isa::avx512, DType::bf16, Arithmetic::bf16_widened, Isa::avx512},
    {Isa::avx512_bf16, DType::fp32, Arithmetic::fp32, Isa::avx512},
    {Isa::avx512_bf16, DType::bf16, Arithmetic::bf16_pair, Isa::avx512_bf16},
};

TEST(KernelTable, every_instruction_set_has_a_complete_set_of_kernels) {
  for (const Choice& choice : choices) {
    SCOPED_TRACE(::testing::Message() << name_of(choice.isa) << " " << name_of(choice.dtype));
    EXPECT_EQ(arithmetic_for(choice.dtype, choice.isa), choice.arithmetic);
    EXPECT_EQ(row_isa(choice.arithmetic, choice.isa), choice.rows);
    // What check_plan lets through, a session must be able to run: every format has a tile kernel, those
    // whose rows are lists or masks a dot kernel too.
    std::set<std::pair<Format, std::string_view>> present;
    for (const Kernel* kernel : kernels_for(choice.arithmetic, choice.isa)) {
      EXPECT_EQ(kernel->isa, choice.rows);
      EXPECT_EQ(kernel->arithmetic, choice.arithmetic);
      EXPECT_TRUE(present.emplace(kernel->format, kernel->shape).second);
    }
    const std::set<std::pair<Format, std::string_view>> expected = {
        {Format::index8, "tile"}, {Format::block, "tile"}, {Format::dense_panel, "tile"},
        {Format::bitmap, "tile"}, {Format::n_m, "tile"},   {Format::bitmap, "dot"},
        {Format::n_m, "dot"},     {Format::index8, "dot"}};
    EXPECT_EQ(present, expected);
  }
}

TEST(KernelTable, widened_bf16_takes_native_rows_where_there_are_any) {
  EXPECT_EQ(row_isa(Arithmetic::bf16_widened, Isa::avx512_bf16), Isa::avx512);
  const auto rows = kernels_for(Arithmetic::bf16_widened, Isa::avx512_bf16);
  EXPECT_EQ(rows.size(), kernels_for(Arithmetic::bf16_widened, Isa::avx512).size());
  for (const Kernel* kernel : rows) {
    const bool native = kernel->format == Format::index8 && kernel->shape == "dot";
    EXPECT_EQ(kernel->isa, native ? Isa::avx512_bf16 : Isa::avx512) << kernel->id();
  }
}

TEST(KernelTable, fp16_is_refused) {
  for (const Isa isa : all_isas)
    expect_refused<DeviceError>([&] { arithmetic_for(DType::fp16, isa); }, {"fp16", "fp32 or bf16"});
}

TEST(KernelTable, tile_widths) {
  EXPECT_EQ(tile_vectors(8), (std::vector{1, 2, 3, 4, 6, 8}));
  EXPECT_EQ(tile_vectors(16), (std::vector{1, 2, 3, 4}));
}

/// Sets CROSS_ISA for a test and puts back what it was.
class IsaVariable {
 public:
  explicit IsaVariable(const std::string& value) {
    if (const char* was = std::getenv("CROSS_ISA"); was != nullptr) was_ = was;
    ::setenv("CROSS_ISA", value.c_str(), 1);
  }
  ~IsaVariable() {
    if (was_)
      ::setenv("CROSS_ISA", was_->c_str(), 1);
    else
      ::unsetenv("CROSS_ISA");
  }
  IsaVariable(const IsaVariable&) = delete;
  IsaVariable& operator=(const IsaVariable&) = delete;

 private:
  std::optional<std::string> was_;
};

TEST(IsaChoice, names_are_read_back) {
  for (const Isa isa : all_isas) EXPECT_EQ(isa_from_name(name_of(isa)), isa);
  EXPECT_EQ(isa_from_name("AVX2"), std::nullopt);
}

TEST(IsaChoice, the_variable_lowers_it) {
  for (const Isa isa : all_isas) {
    const IsaVariable variable{std::string(name_of(isa))};
    if (isa <= detected_isa())
      EXPECT_EQ(active_isa(), isa);
    else
      expect_refused<DeviceError>([] { active_isa(); },
                                  {"CROSS_ISA", std::string(name_of(isa)), "this CPU's best is"});
  }
}

TEST(IsaChoice, an_empty_variable_means_nothing) {
  const IsaVariable variable("");
  EXPECT_EQ(active_isa(), detected_isa());
}

TEST(IsaChoice, an_unknown_name_is_refused) {
  const IsaVariable variable("sse9");
  expect_refused<UsageError>([] { active_isa(); },
                             {"CROSS_ISA is \"sse9\"", "scalar, avx2, avx512 or avx512_bf16"});
}

TEST(Cpu, has_a_name_and_a_cache) {
  EXPECT_FALSE(cpu_name().empty());
  EXPECT_GE(last_level_cache_bytes(), std::size_t{1} << 18);
}

}  // namespace
}  // namespace cross::kernels
