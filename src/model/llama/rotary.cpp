#include "model/llama/rotary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "cross/error.h"

namespace cross::model::llama {
namespace {

using base::Fields;
using nlohmann::json;

constexpr std::int64_t most_positions = 1 << 24;

struct NamedScaling {
  const char* name;  ///< as config.json has it
  Scaling scaling;
};
constexpr NamedScaling scalings[] = {{"default", Scaling::none},
                                     {"linear", Scaling::linear},
                                     {"dynamic", Scaling::dynamic},
                                     {"llama3", Scaling::llama3},
                                     {"yarn", Scaling::yarn}};

Scaling scaling_of(const Fields& fields, const char* field) {
  const std::string name = fields.text(field);
  for (const NamedScaling& row : scalings)
    if (row.name == name) return row.scaling;
  fields.wrong(field, name, "default, linear, dynamic, llama3 or yarn: other scalings are not supported");
}

/// A finite number above zero.
double positive(const Fields& fields, const char* field) {
  const double value = fields.number(field);
  if (!(value > 0) || !std::isfinite(value)) fields.wrong(field, fields.at(field), "a number above 0");
  return value;
}

bool given(const Fields& fields, const char* field) {
  return fields.has(field) && !fields.at(field).is_null();
}

double optional(const Fields& fields, const char* field, double otherwise) {
  return given(fields, field) ? positive(fields, field) : otherwise;
}

void check_whole_heads(const Fields& fields) {
  if (given(fields, "partial_rotary_factor") && fields.number("partial_rotary_factor") != 1)
    fields.wrong("partial_rotary_factor", fields.at("partial_rotary_factor"),
                 "1: only whole heads are supported");
}

/// What yarn multiplies cosine and sine by, as the reference derives it where it is not given.
double yarn_attention(const Fields& fields, double factor) {
  if (given(fields, "attention_factor")) return positive(fields, "attention_factor");
  const auto scale = [&](double by) { return factor <= 1 ? 1.0 : 0.1 * by * std::log(factor) + 1.0; };
  if (given(fields, "mscale") && given(fields, "mscale_all_dim") && fields.number("mscale") != 0 &&
      fields.number("mscale_all_dim") != 0)
    return scale(positive(fields, "mscale")) / scale(positive(fields, "mscale_all_dim"));
  return scale(1);
}

void check(const Fields& fields, const Rotary& rotary) {
  if (rotary.theta <= 1) fields.wrong("rope_theta", rotary.theta, "a number above 1");
  if (rotary.scaling != Scaling::none && rotary.factor < 1)
    fields.wrong("factor", rotary.factor, "a number of 1 or more");
  if (rotary.scaling == Scaling::llama3 && rotary.high_frequency <= rotary.low_frequency)
    fields.wrong("high_freq_factor", rotary.high_frequency,
                 fmt::format("above \"low_freq_factor\", {}", rotary.low_frequency));
}

/// low and high bound of yarn's blend, in pairs of dimensions.
std::pair<double, double> yarn_range(const Rotary& r, double size) {
  const auto dimension = [&](double turns) {
    return size * std::log(static_cast<double>(r.original) / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(r.theta));
  };
  double low = dimension(r.beta_fast), high = dimension(r.beta_slow);
  if (r.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, size - 1);
  return {low, low == high ? high + 0.001 : high};
}

/// Long waves are stretched, short ones are not, those between by both in part.
float llama3(const Rotary& r, float frequency) {
  const auto factor = static_cast<float>(r.factor);
  const auto original = static_cast<float>(r.original);
  const auto low = static_cast<float>(r.low_frequency), high = static_cast<float>(r.high_frequency);
  const float wavelength = static_cast<float>(2 * std::numbers::pi) / frequency;
  if (wavelength < original / high) return frequency;
  if (wavelength > original / low) return frequency / factor;
  const float smooth = (original / wavelength - low) / (high - low);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}

}  // namespace

Rotary read_rotary(const Fields& config, std::int64_t positions) {
  Rotary rotary;
  check_whole_heads(config);
  if (given(config, "rope_theta")) rotary.theta = positive(config, "rope_theta");
  const char* name = given(config, "rope_scaling") ? "rope_scaling" : "rope_parameters";
  if (!given(config, name)) {
    check(config, rotary);
    return rotary;
  }
  const Fields fields(config.at(name), fmt::format("{}: \"{}\"", config.where(), name));
  for (const char* nested : {"full_attention", "sliding_attention"})
    if (fields.has(nested))
      fields.wrong(nested, fields.at(nested), "absent: one embedding for all layers is supported");
  check_whole_heads(fields);
  if (given(fields, "rope_theta")) rotary.theta = positive(fields, "rope_theta");
  const char* kind = given(fields, "rope_type") ? "rope_type" : "type";
  if (given(fields, kind)) rotary.scaling = scaling_of(fields, kind);
  if (rotary.scaling == Scaling::yarn && !given(fields, "factor") &&
      given(fields, "original_max_position_embeddings"))
    rotary.factor =
        static_cast<double>(positions) /
        static_cast<double>(fields.integer("original_max_position_embeddings", 1, most_positions));
  else if (rotary.scaling != Scaling::none)
    rotary.factor = positive(fields, "factor");
  rotary.original = positions;
  if (rotary.scaling == Scaling::llama3 || rotary.scaling == Scaling::yarn) {
    constexpr const char* original = "original_max_position_embeddings";
    // The reference lets the field beside win.
    if (given(config, original))
      rotary.original = config.integer(original, 1, most_positions);
    else if (given(fields, original))
      rotary.original = fields.integer(original, 1, most_positions);
  }
  if (rotary.scaling == Scaling::llama3) {
    rotary.low_frequency = positive(fields, "low_freq_factor");
    rotary.high_frequency = positive(fields, "high_freq_factor");
  }
  if (rotary.scaling == Scaling::yarn) {
    rotary.beta_fast = optional(fields, "beta_fast", 32);
    rotary.beta_slow = optional(fields, "beta_slow", 1);
    if (given(fields, "truncate")) rotary.truncate = fields.boolean("truncate");
    rotary.attention_factor = yarn_attention(fields, rotary.factor);
  }
  check(fields, rotary);
  return rotary;
}

json describe(const Rotary& r) {
  return {{"rope_type", scalings[static_cast<std::size_t>(r.scaling)].name},
          {"rope_theta", r.theta},
          {"factor", r.factor},
          {"original", r.original},
          {"low_freq_factor", r.low_frequency},
          {"high_freq_factor", r.high_frequency},
          {"beta_fast", r.beta_fast},
          {"beta_slow", r.beta_slow},
          {"truncate", r.truncate},
          {"attention_factor", r.attention_factor}};
}

Rotary read_rotary_description(const json& description, const std::string& where) {
  const Fields fields(description, where);
  Rotary r;
  r.scaling = scaling_of(fields, "rope_type");
  r.theta = positive(fields, "rope_theta");
  r.factor = positive(fields, "factor");
  r.original = fields.integer("original", 0, most_positions);
  r.low_frequency = positive(fields, "low_freq_factor");
  r.high_frequency = positive(fields, "high_freq_factor");
  r.beta_fast = positive(fields, "beta_fast");
  r.beta_slow = positive(fields, "beta_slow");
  r.truncate = fields.boolean("truncate");
  r.attention_factor = positive(fields, "attention_factor");
  check(fields, r);
  if (r.scaling != Scaling::none && r.original == 0) fields.wrong("original", 0, "above 0");
  return r;
}

std::vector<float> frequencies(const Rotary& r, std::int64_t head_size, std::int64_t tokens) {
  const auto size = static_cast<float>(head_size);
  auto base = static_cast<float>(r.theta);
  if (r.scaling == Scaling::dynamic && tokens > r.original) {
    const auto factor = static_cast<float>(r.factor);
    base *= std::pow(factor * static_cast<float>(tokens) / static_cast<float>(r.original) - (factor - 1),
                     size / (size - 2));
  }
  const auto [low, high] = yarn_range(r, static_cast<double>(head_size));
  std::vector<float> result(static_cast<std::size_t>(head_size / 2));
  for (std::size_t i = 0; i < result.size(); ++i) {
    const float wave = std::pow(base, static_cast<float>(2 * i) / size);
    float& frequency = result[i] = 1.0f / wave;
    if (r.scaling == Scaling::linear) frequency /= static_cast<float>(r.factor);
    if (r.scaling == Scaling::llama3) frequency = llama3(r, frequency);
    if (r.scaling == Scaling::yarn) {
      const float ramp = std::clamp(
          (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low), 0.0f, 1.0f);
      frequency = ramp / (static_cast<float>(r.factor) * wave) + (1 - ramp) / wave;
    }
  }
  return result;
}

}  // namespace cross::model::llama
