// The plan: everything needed to run a model's sparse layers, and nothing else. The only contract between the
// compiler, which makes plans, and the runtime, which executes them. File format: docs/plan.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cross/dtype.h"
#include "cross/format.h"
#include "cross/stored_type.h"

namespace cross {

/// Version of the plan file. A reader refuses any other.
inline constexpr int plan_version = 1;

/// Bytes with whoever keeps them alive: a buffer of the compiler or a mapped file.
struct Blob {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
  bool mapped = false;  ///< pages of a file: the kernel may drop them, the next access reads them again

  static Blob own(std::vector<std::byte> data);
};

/// Columns [k_begin, k_end) of one row panel in one format.
struct Segment {
  Format format = Format::empty;
  std::int64_t k_begin = 0;
  std::int64_t k_end = 0;
  std::uint64_t offset = 0;  ///< into Packing::data, a multiple of 4
  std::uint64_t bytes = 0;
  int keep = 0;  ///< n_m only: `keep` of every `group` columns are stored
  int group = 0;
};

/// Rows [row_begin, row_begin + rows) in the layer's row order; its segments add into the same rows of Y.
struct Panel {
  std::int64_t row_begin = 0;
  int rows = 0;
  std::vector<Segment> segments;  ///< ascending, disjoint; columns that no segment covers are empty
};

/// How one stored element multiplies (kernels/kernel.h says what the CPU's mean). mma: 16-bit values on
/// tensor cores, accumulated in fp32 (CUDA plans in bf16 and fp16).
enum class PlanArithmetic : std::uint8_t { fp32, bf16_widened, bf16_pair, mma };

constexpr std::string_view name_of(PlanArithmetic arithmetic) {
  switch (arithmetic) {
    case PlanArithmetic::fp32:
      return "fp32";
    case PlanArithmetic::bf16_widened:
      return "bf16_widened";
    case PlanArithmetic::bf16_pair:
      return "bf16_pair";
    case PlanArithmetic::mma:
      return "mma";
  }
  return "?";
}

/// One stored copy of a layer's weights. In a CUDA plan it is one panel of all rows with one segment of all
/// columns, whose bytes are a blob of their own (docs/gpu.md).
struct Packing {
  PlanArithmetic arithmetic = PlanArithmetic::fp32;
  std::vector<Panel> panels;  ///< empty when `data` is the dense row-major matrix for the dense library
  Blob data;  ///< ends with 64 bytes that mean nothing, so that kernels may load past the last value

  bool dense() const { return panels.empty(); }
};

/// One piece of scheduled work: a row panel for one batch item (a slice of `item_tokens` tokens).
struct PlanPiece {
  int item = 0;
  int panel = 0;
};

/// How a layer runs for token counts up to `tokens` (the last variant also serves more).
struct Variant {
  std::int64_t tokens = 0;
  int packing = 0;
  /// CPU: "tile" or "dot" (lanes along tokens or along K). CUDA: "decode" (packed weights are decoded by the
  /// kernel that multiplies, few tokens), "prefill" (the same, made for many tokens), "expand" (into a
  /// scratch buffer, for the dense library) or "cusparselt" (two_four: by that library from a compressed copy
  /// of its own, made when a session starts; "prefill" where it is missing, or adds a bias or activation).
  /// "library" for dense.
  std::string shape;
  std::string library;      ///< dense, and "expand": "onednn", "openblas" or "cublaslt"
  std::string algorithm;    ///< cuBLASLt's, fastest when compiled: library version and bytes; empty: the
                            ///< library's choice
  int item_tokens = 0;      ///< tokens of one batch item
  std::string policy;       ///< "same", "paired", "longest_first" or "by_token"
  int scheduled_items = 0;  ///< items in `schedule`; item i of a run follows item i mod scheduled_items
  std::vector<std::vector<PlanPiece>> schedule;  ///< per worker, in order
};

/// One way of running a layer that was considered, for `explain`.
struct CandidateRecord {
  std::string name;  ///< "index8", "mixed", "dense onednn", …
  std::int64_t tokens = 0;
  double predicted_us = 0;  ///< 0: not priced
  double measured_us = 0;   ///< 0: not measured
  std::uint64_t bytes = 0;  ///< packed weights; 0: not packed
  bool chosen = false;
  std::string reason;  ///< why it was chosen, or why not
};

/// What was seen and decided at compile time. Informational: execution never reads it.
struct LayerDecision {
  int blocks_dense = 0, blocks_swing = 0, blocks_sparse = 0, blocks_empty = 0;
  std::string structure;  ///< "uniform", "varies by row", "2:4", …
  std::string row_order;  ///< "natural" or "by density", and why
  std::vector<CandidateRecord> candidates;
  /// Load of each worker over the mean of all; empty: not known, or not measured.
  struct WorkerLoads {
    std::vector<double> predicted, measured;
  };
  struct Balance {
    std::int64_t tokens = 0;
    double same = 1, paired = 1, longest_first = 1;  ///< predicted max/mean worker load of each policy
    double measured = 0;                             ///< of the chosen policy; 0: not measured
    double measured_same = 0;                        ///< of `same`; 0: not measured
    WorkerLoads before, after;                       ///< of `same`, and of the chosen policy
  };
  std::vector<Balance> balance;
};

/// One linear layer y = x·Wᵀ + bias.
struct LayerPlan {
  std::string name;  ///< tensor name without ".weight"
  /// Layers of the model whose weights stand here one below the other (query, key and value, which share
  /// their input); empty: the layer of this name alone.
  std::vector<std::string> parts;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  DType source_dtype = DType::fp32;
  std::int64_t nnz = 0;                 ///< kept weights in the plan's dtype
  std::vector<std::int32_t> row_order;  ///< packed row → row of W; empty when natural
  std::vector<float> bias;              ///< in row order of W; empty when the layer has none
  std::vector<Packing> packings;
  std::vector<Variant> variants;  ///< ascending `tokens`
  LayerDecision decision;

  double sparsity() const {
    return rows * cols == 0 ? 0.0 : 1.0 - static_cast<double>(nnz) / static_cast<double>(rows * cols);
  }
  std::uint64_t packed_bytes() const;  ///< of all packings, without the trailing padding
  std::uint64_t dense_bytes(DType dtype) const {
    return static_cast<std::uint64_t>(rows * cols) * size_of(dtype);
  }
  const Variant& variant_for(std::int64_t tokens) const;
};

/// Version of the part of a plan that makes it a whole model. A reader refuses any other.
inline constexpr int model_part_version = 1;

/// A tensor of a model that is the weight of no linear layer: an embedding table, a norm, a vocabulary.
struct PlanTensor {
  std::string name;
  StoredType type = StoredType::f32;
  std::vector<std::int64_t> shape;
  Blob data;
};

/// What makes a plan of layers a model that runs from end to end.
struct ModelPart {
  std::string architecture;  ///< as config.json names it: "BertModel"
  std::string description;   ///< JSON, each architecture's own: sizes, pooling, tokeniser (docs/models.md)
  std::vector<PlanTensor> tensors;

  const PlanTensor* find(std::string_view tensor) const;
};

/// A compiled model: its linear layers, and in a *model plan* the rest too. Value type; const access is
/// thread-safe.
struct Plan {
  std::string device = "cpu";  ///< "cpu" or "cuda"
  int sm = 0;                  ///< CUDA: compute capability that it was compiled on, 90 for 9.0
  int sms = 0;                 ///< CUDA: SMs that the packed work is dealt to; any number executes it
  DType dtype = DType::fp32;
  std::string source;          ///< file name of the model it was made from
  std::string compiled_by;     ///< "cross 0.1.0"
  std::string compiled_on;     ///< CPU name and ISA
  int threads = 1;             ///< workers that the schedules are made for
  std::string profile;         ///< key of the cost profile
  std::string profile_source;  ///< "measured on this machine", "shipped default", …
  std::vector<LayerPlan> layers;
  std::optional<ModelPart> model;  ///< absent in a plan of layers alone

  const LayerPlan* find(std::string_view layer) const;
  /// Share of zeros of all layers' weights together; 0 without weights.
  double sparsity() const;

  /// Maps a plan file and checks it: container, version, checksums, every count and offset of the packed
  /// data. Throws InputError for a damaged file, DeviceError if this CPU lacks an instruction set that the
  /// plan needs, or this build the plan's device.
  static Plan load(const std::filesystem::path& path);
  /// The same from memory; `name` stands in messages. `bytes` must outlive the plan, which keeps `owner`
  /// alive. Best aligned to 64 bytes, as kernels want the packed weights.
  static Plan parse(std::span<const std::byte> bytes, const std::string& name,
                    const std::shared_ptr<const void>& owner = nullptr);
  /// The bytes that `save` writes.
  std::vector<std::byte> serialize() const;
  /// Writes `path` completely or not at all.
  void save(const std::filesystem::path& path) const;
};

}  // namespace cross
