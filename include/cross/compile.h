// compile: a model's linear layers → a plan.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cross/model.h"
#include "cross/plan.h"
#include "cross/profile.h"

namespace cross {

struct CompileOptions {
  std::string device = "cpu";  ///< "cpu", "cuda" or "cuda:1"
  DType dtype = DType::fp32;   ///< of the plan: fp32 or bf16; on cuda bf16, fp16, or fp32 (dense)
  std::vector<std::int64_t> tokens = {1, 128};  ///< token counts to decide for; any other count runs too
  int threads = 0;                              ///< 0: one per core
  /// What the plan holds: the selected layers, each for itself, or the whole model that config.json
  /// describes, with projections that share an input as one matrix. Only a whole model can be run from end to
  /// end (cross/encoder.h).
  enum class Scope : std::uint8_t { layers, model };
  Scope scope = Scope::layers;
  Selection selection;  ///< of layers; a whole model has no selection
  /// Copies of a layer's weights that the plan may store: with 2, a layer may keep one format for few tokens
  /// and another (or the dense matrix) for many.
  int copies = 1;
  std::string policy = "auto";  ///< same, paired, longest_first, by_token, or auto (docs/pipeline.md)
  std::string format =
      "auto";           ///< force one format ("index8", "bitmap", "mixed", "dense", …) for experiments
  bool measure = true;  ///< check the best candidates against dense on this device
  std::filesystem::path profile;  ///< empty: the measured profile of this machine, else the shipped default

  /// Called after every stage of every layer; `dump` makes the stage's result as JSON when called.
  struct StageReport {
    std::string_view layer;
    std::string_view stage;  ///< analyse, reorder, cost, partition, pack, balance
    double seconds = 0;
    std::function<std::string()> dump;
  };
  std::function<void(const StageReport&)> on_stage;
  /// Called before each layer with its number and the count of layers.
  std::function<void(std::size_t, std::size_t, std::string_view)> on_layer;
};

/// Why `model` cannot be compiled as a whole (Scope::model), naming file, field, value and what is supported;
/// empty if it can. InputError if its config.json is damaged.
std::string no_whole_model(const Model& model);

/// Token counts that a model meets as a whole: a short sentence, a long one and a part of a batch for an
/// encoder, one token and a part of a prompt for a decoder. InputError if config.json is damaged.
std::vector<std::int64_t> whole_model_tokens(const Model& model);

/// Compiles every selected layer, or the whole model. Weights are read layer by layer and released again, so
/// peak memory is the plan plus about one weight. Deterministic apart from measured decisions (`measure`).
/// Throws UsageError for options that make no sense and for models without a selected layer, InputError for
/// an architecture that Scope::model does not know and for files that it lacks, DeviceError for dtypes that
/// the CPU has no kernels for.
Plan compile(const Model& model, const CompileOptions& options = {});

/// The profile that `compile` would use for this machine: measured if there is a fitting one, shipped
/// otherwise.
CostProfile find_profile(const std::filesystem::path& explicit_path, int threads,
                         const std::string& device = "cpu");

}  // namespace cross
