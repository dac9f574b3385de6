// Pruning by magnitude: which weights become zero, and writing the pruned model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cross/matrix.h"
#include "cross/model.h"

namespace cross {

/// Over what the weights are ranked: each layer for itself, or all selected layers together (layers then end
/// with different sparsities).
enum class PruneScope : std::uint8_t { layer, global };

enum class PatternKind : std::uint8_t { unstructured, n_m, block, row };

/// How the magnitudes of a block or row are summed up: mean of |w|, or square root of the mean of w². Means,
/// so that the smaller blocks at the right and bottom edges rank by what they hold per element.
enum class BlockNorm : std::uint8_t { l1, l2 };

/// What is pruned at once.
struct Pattern {
  PatternKind kind = PatternKind::unstructured;
  int keep = 0, group = 0;             ///< n_m: at most `keep` of `group` consecutive positions of a row stay
  int block_rows = 0, block_cols = 0;  ///< block: aligned blocks of this size, whole
  BlockNorm norm = BlockNorm::l1;      ///< block and row

  friend bool operator==(const Pattern&, const Pattern&) = default;
};

/// Reads "unstructured", "KEEP:GROUP" (group 4, 8, 16 or 32; 1 <= keep < group; "2:4", "6:16"), "block:RxC"
/// (sides 1 to 4096), "row"; blocks and rows take ":l1" (the default) or ":l2" at the end. UsageError that
/// names the text and says what would be right.
Pattern parse_pattern(std::string_view text);
/// The text that parse_pattern reads.
std::string text_of(const Pattern& pattern);

struct PruneOptions {
  /// Share of zeros to reach, 0 <= sparsity < 1: of elements, or of blocks or rows for those patterns. For
  /// keep:group it follows from the pattern (1 − keep/group) and may be left out.
  std::optional<double> sparsity;
  PruneScope scope = PruneScope::layer;
  Pattern pattern;
  Selection selection;     ///< which tensors (prune_model)
  bool overwrite = false;  ///< an existing output folder of a model may be replaced (prune_model)
};

struct PrunedLayer {
  std::string name;
  std::int64_t rows = 0, cols = 0;
  std::int64_t zeros_before = 0, zeros_after = 0;  ///< positions whose bits are all zero

  double sparsity_before() const { return share(zeros_before); }
  double sparsity_after() const { return share(zeros_after); }

 private:
  double share(std::int64_t zeros) const {
    return rows * cols == 0
               ? 0.0
               : static_cast<double>(zeros) / (static_cast<double>(rows) * static_cast<double>(cols));
  }
};

/// Prunes one matrix by magnitude into `pruned` (weights.bytes() bytes; may be weights.data itself). Kept
/// values keep their bits; pruned ones become +0.0.
///
///     units    elements, blocks or rows, in row-major order; score = |w|, or the block's norm
///     target   round(sparsity · units), counting units that are zero already
///     pruned   the `target` units with the lowest scores; among equal scores the first; +0.0 before −0.0
///     n_m      per aligned group of a row: all but the `keep` largest |w|; a shorter last group keeps up to
///     `keep` too
///
/// So pruning twice equals pruning once, and a matrix that is sparse enough already is left alone. InputError
/// for NaN (names `name` and the position), which has no magnitude; UsageError for options that contradict
/// each other. Scope is ignored: one matrix is one layer.
PrunedLayer prune_matrix(const MatrixView& weights, std::span<std::byte> pruned, const PruneOptions& options,
                         std::string_view name = "matrix");

/// Where prune_model is. For the global scope the layers are read twice to rank them before they are written.
struct PruneProgress {
  std::string_view step;  ///< "rank" or "prune"
  std::string_view layer;
  std::size_t done = 0;  ///< layers finished in this step, this one included
  std::size_t layers = 0;
};

struct PruneReport {
  std::vector<PrunedLayer> layers;                               ///< in the order of the model
  std::int64_t elements = 0, zeros_before = 0, zeros_after = 0;  ///< over these layers
};

/// Prunes the selected tensors of a model and writes a copy. Every other tensor, the names, types, shapes and
/// metadata stay as they are.
///
/// - A file (.safetensors, .smtx, .mtx, .npy) becomes one .safetensors file. An existing one is replaced.
/// - A Hugging Face folder becomes a folder with the same shards; every other file in it is copied (folders
/// whose names
///   start with a dot, such as .git, are not). It must not exist, be empty, or hold a model that
///   options.overwrite allows to replace.
///
/// The output appears complete or not at all: it is written beside its place and renamed. Needs memory for
/// the largest selected tensor. UsageError for an output that is, contains or lies inside the input, for an
/// unsuitable output path, contradictory options, or a selection without layers; InputError for NaN and for
/// what the disk refuses.
PruneReport prune_model(const Model& model, const std::filesystem::path& output, const PruneOptions& options,
                        const std::function<void(const PruneProgress&)>& progress = {});

}  // namespace cross
