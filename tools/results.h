// What was measured, as JSON: printed by the commands that measure, and by `cross report`.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cross/bench.h"
#include "cross/bench_decoder.h"
#include "cross/bench_model.h"
#include "cross/evaluate.h"
#include "cross/evaluate_decoder.h"

namespace cross::cli {

nlohmann::ordered_json json_of(const BenchReport& report);
nlohmann::ordered_json json_of(const ModelBenchReport& report);
nlohmann::ordered_json json_of(const DecoderBenchReport& report);
nlohmann::ordered_json json_of(const Evaluation& evaluation);
nlohmann::ordered_json json_of(const DecoderEvaluation& evaluation);

}  // namespace cross::cli
