// Models and plans by path, and paths that may be written.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

#include "cross/model.h"
#include "cross/plan.h"

namespace cross::cli {

/// Whether a path holds a plan: what has a model's extension is a model, unless its metadata says otherwise.
/// UsageError if there is nothing.
bool is_plan(const std::filesystem::path& path);

/// Model::load, with a hint for those who give a plan.
Model load_model(const std::filesystem::path& path, const LoadOptions& options = {});
/// Plan::load, with a hint for those who give a model.
Plan load_plan(const std::filesystem::path& path);

/// Threads to run a plan with: as asked for, else those that its schedules are made for, as far as there are
/// cores.
int threads_for(const Plan& plan, int asked);

/// The index of a layer; UsageError that names some that exist.
std::size_t find_layer(const Plan& plan, const std::string& name);

/// The plan with these layers alone; UsageError for unknown ones.
Plan only_layers(const Plan& plan, const std::vector<std::string>& names);

/// UsageError unless a file can be written to `output`: it is no folder, its folder exists, and it is none of
/// `inputs`.
void check_output(const std::filesystem::path& output, std::initializer_list<std::filesystem::path> inputs);
/// The same, with every file of the model as an input.
void check_output(const std::filesystem::path& output, const Model& model);

}  // namespace cross::cli
