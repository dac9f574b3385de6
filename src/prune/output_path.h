// Where a pruned model may be written.
#pragma once

#include <filesystem>

namespace cross::prune_detail {

/// UsageError unless a pruned copy of the model file `input` can be written to `output`.
void check_output_file(const std::filesystem::path& input, const std::filesystem::path& output);

/// UsageError unless a pruned copy of the model folder `input` can be written to `output`. Returns the
/// output's absolute path, symbolic links resolved.
std::filesystem::path check_output_folder(const std::filesystem::path& input,
                                          const std::filesystem::path& output, bool overwrite);

}  // namespace cross::prune_detail
