// Options that several subcommands share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "cross/dtype.h"
#include "cross/model.h"

namespace cross::cli {

struct CommonOptions {
  bool json = false;
  bool quiet = false;
};

/// --json and --quiet, and an example below the help.
void add_common(CLI::App& command, CommonOptions& options, const std::string& example);

/// --include and --exclude.
void add_selection(CLI::App& command, Selection& selection);
/// --seed of a pattern's values.
void add_seed(CLI::App& command, LoadOptions& options);
void add_threads(CLI::App& command, int& threads);
/// --batch, for check_batch.
CLI::Option* add_batch(CLI::App& command, int& batch);
void add_tokens(CLI::App& command, std::string& tokens, const std::string& help);
/// --layer, which may be repeated.
void add_layers(CLI::App& command, std::vector<std::string>& layers);
/// --device, for check_device.
void add_device(CLI::App& command, std::string& device);

/// UsageError for sizes of a batch that make no sense.
void check_batch(int batch);
/// "1,8,128"; an empty text is no counts. UsageError for anything else.
std::vector<std::int64_t> parse_tokens(const std::string& text);
/// fp32 or bf16, and fp16 on cuda; UsageError for anything else.
DType parse_plan_dtype(const std::string& text, bool cuda);
/// DeviceError for devices that this build or machine lacks, UsageError for unknown ones; "" is none given.
void check_device(const std::string& device);

}  // namespace cross::cli
