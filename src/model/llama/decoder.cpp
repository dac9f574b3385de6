#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/aligned_buffer.h"
#include "base/json_fields.h"
#include "base/strict_json.h"
#include "cross/error.h"
#include "kernels/transformer/transformer.h"
#include "model/llama/config.h"
#include "model/llama/llama.h"
#include "model/llama/names.h"
#include "model/plan_tensors.h"
#include "model/products.h"
#include "plan/unpack.h"

namespace cross::model::llama {
namespace {

using clock = std::chrono::steady_clock;

/// Order of DecoderNetwork::parts.
enum Part {
  embeddings_part,
  norms_part,
  qkv_part,
  rotary_part,
  attention_part,
  attention_output_part,
  gate_and_up_part,
  activation_part,
  down_part,
  output_part,
  logits_part
};

/// Tokens whose logits are computed at once: those of a large vocabulary are the largest activations.
constexpr std::int64_t output_tokens = 64;
/// Query rows (tokens times heads that share keys) that one call of attention computes.
constexpr std::int64_t attention_rows = 128;
/// Values below which a step is not worth waking threads for.
constexpr std::int64_t least_values = 16384;

struct LayerOf {
  std::size_t query_key_value = 0, attention_output = 0, gate_and_up = 0, down = 0;
  const float *attention_norm = nullptr, *feed_forward_norm = nullptr;
};

/// One sequence of a call: rows [first, first + tokens) of all buffers, at positions from `position` on.
struct Sequence {
  std::int64_t first = 0, tokens = 0, position = 0;
  DecoderCache::Impl* cache = nullptr;
};

Config read_part(const ModelPart& part) {
  const std::string where = "the plan's model";
  const nlohmann::json description = base::parse_strict_json(part.description, where);
  return read_description(base::Fields(description, where).at("config"), where + ", config");
}

class Decoder final : public DecoderNetwork {
 public:
  Decoder(const Plan& plan, Executor& executor)
      : plan_(plan),
        executor_(executor),
        config_(read_part(*plan.model)),
        kernels_(kernels::transformer_kernels(kernels::active_isa())),
        tensors_(plan),
        products_(plan, executor) {
    const Config& c = config_;
    info_ = {.architecture = plan.model->architecture,
             .layers = c.layers,
             .hidden = c.hidden,
             .intermediate = c.intermediate,
             .heads = c.heads,
             .key_value_heads = c.key_value_heads,
             .head_size = c.head_size,
             .vocabulary = c.vocabulary,
             .most_tokens = c.positions,
             .sliding_window = c.window,
             .tied_embeddings = c.tied,
             .begin_token = c.begin_token,
             .end_tokens = c.end_tokens};
    output_ = products_.layer(output, c.vocabulary, c.hidden);
    if (c.tied)
      tied_rows_.emplace(plan.layers[output_], plan.dtype);
    else
      words_ = tensors_.table(word_table, c.vocabulary, c.hidden);
    final_norm_ = tensors_.floats(final_norm, c.hidden);
    for (std::int64_t i = 0; i < c.layers; ++i)
      layers_.push_back({products_.layer(in_layer(i, query_key_value), qkv_width(), c.hidden),
                         products_.layer(in_layer(i, attention_output), c.hidden, c.query_rows()),
                         products_.layer(in_layer(i, gate_and_up), 2 * c.intermediate, c.hidden),
                         products_.layer(in_layer(i, down), c.hidden, c.intermediate),
                         tensors_.floats(in_layer(i, attention_norm), c.hidden),
                         tensors_.floats(in_layer(i, feed_forward_norm), c.hidden)});
  }

  const DecoderInfo& info() const override { return info_; }
  CacheShape cache_shape() const override {
    return {config_.layers, config_.key_value_heads, config_.head_size, plan_.dtype};
  }
  void observe(cross::Decoder::Observer observer) override { observer_ = std::move(observer); }
  void set_product_tokens(std::int64_t tokens) override { products_.set_most_tokens(tokens); }
  std::vector<PartTime>& parts() override { return times_; }

  void run(std::span<const DecoderInput> batch, Logits which, std::span<float> logits) override {
    const std::int64_t tokens = start(batch);
    const std::vector<Slice> slices = products_.slices(tokens);
    reserve(tokens, slices);
    timed(embeddings_part, [&] { look_up(batch); });
    timed(rotary_part, [&] { turn(tokens); });
    observed(0, hidden_, tokens);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const auto layer = static_cast<std::int64_t>(i);
      for (const Slice& slice : slices) before_attention(layers_[i], slice);
      timed(rotary_part, [&] { rotate_and_remember(layer, tokens); });
      timed(attention_part, [&] { attend(layer); });
      for (const Slice& slice : slices) after_attention(layers_[i], slice);
      observed(layer + 1, hidden_, tokens);
    }
    give_logits(which, logits);
    for (const Sequence& sequence : sequences_) sequence.cache->tokens += sequence.tokens;
  }

 private:
  std::int64_t qkv_width() const { return config_.query_rows() + 2 * config_.key_value_rows(); }
  std::size_t row_bytes(std::int64_t width) const {
    return static_cast<std::size_t>(width) * size_of(plan_.dtype);
  }
  std::byte* row(std::byte* buffer, std::int64_t token, std::int64_t width) const {
    return buffer + static_cast<std::size_t>(token) * row_bytes(width);
  }

  // ---- what a call needs

  std::int64_t start(std::span<const DecoderInput> batch) {
    std::int64_t tokens = 0;
    sequences_.clear();
    for (const DecoderInput& input : batch) {
      DecoderCache::Impl& cache = input.cache->impl();
      sequences_.push_back({tokens, static_cast<std::int64_t>(input.tokens.size()), cache.tokens, &cache});
      tokens += sequences_.back().tokens;
    }
    return tokens;
  }

  void reserve(std::int64_t tokens, const std::vector<Slice>& slices) {
    const std::int64_t rows = Products::padded(tokens);
    std::int64_t slice_rows = 0;
    for (const Slice& slice : slices) slice_rows = std::max(slice_rows, slice.rows);
    const auto get = [&](std::size_t i, std::int64_t count, std::int64_t width) {
      return memory_[i].get(static_cast<std::size_t>(count) * row_bytes(width)).data();
    };
    hidden_ = get(0, rows, config_.hidden);
    qkv_ = get(1, rows, qkv_width());
    context_ = get(2, rows, config_.query_rows());
    normed_ = get(3, std::max(slice_rows, output_tokens), config_.hidden);
    gate_up_ = get(4, slice_rows, 2 * config_.intermediate);
    inner_ = get(5, slice_rows, config_.intermediate);
    const std::size_t floats = (kernels::causal_attention_scratch(config_.head_size) + 15) / 16 * 16;
    scratch_floats_ = floats;
    scratch_ = reinterpret_cast<float*>(
        scratch_memory_.get(floats * sizeof(float) * static_cast<std::size_t>(executor_.workers())).data());
  }

  template <class Step>
  void timed(Part part, Step&& step) {
    const auto start = clock::now();
    step();
    times_[part].seconds += std::chrono::duration<double>(clock::now() - start).count();
  }

  /// step(first, last) for an equal share of `count` things per worker; here and now if they hold few values.
  template <class Step>
  void spread(std::int64_t count, std::int64_t values_each, Step&& step) {
    const int workers = executor_.workers();
    if (count * values_each < least_values) return step(std::int64_t{0}, count);
    executor_.run([&](int worker) { step(count * worker / workers, count * (worker + 1) / workers); });
  }

  void product(Part part, std::size_t layer, std::int64_t rows, const std::byte* x, std::byte* y,
               const std::byte* residual = nullptr) {
    timed(part, [&] {
      RunArgs args;
      args.x = x;
      args.y = y;
      args.tokens = rows;
      args.residual = residual;
      products_.run(layer, args);
    });
  }

  // ---- steps

  void look_up(std::span<const DecoderInput> batch) {
    const std::size_t bytes = row_bytes(config_.hidden);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const auto& ids = batch[i].tokens;
      spread(sequences_[i].tokens, config_.hidden, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
          const std::int32_t id = ids[static_cast<std::size_t>(t)];
          std::byte* out = row(hidden_, sequences_[i].first + t, config_.hidden);
          if (tied_rows_)
            tied_rows_->read(id, out);
          else
            std::memcpy(out, words_ + static_cast<std::size_t>(id) * bytes, bytes);
        }
      });
    }
  }

  /// Cosine and sine of every token's angles. The reference rounds the angle to fp32, and so do we.
  void turn(std::int64_t tokens) {
    const auto half = static_cast<std::size_t>(config_.head_size / 2);
    angles_.resize(static_cast<std::size_t>(tokens) * 2 * half);
    const auto scale = static_cast<float>(config_.rotary.attention_factor);
    for (const Sequence& sequence : sequences_) {
      const std::vector<float> turns =
          frequencies(config_.rotary, config_.head_size, sequence.position + sequence.tokens);
      spread(sequence.tokens, 16 * config_.head_size, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
          float* cosine = angles_.data() + static_cast<std::size_t>(sequence.first + t) * 2 * half;
          for (std::size_t i = 0; i < half; ++i) {
            const float angle = static_cast<float>(sequence.position + t) * turns[i];
            cosine[i] = std::cos(angle) * scale;
            cosine[half + i] = std::sin(angle) * scale;
          }
        }
      });
    }
  }

  /// y = norm(x), row by row
  void normalise(const std::byte* x, const float* scale, std::int64_t tokens, std::byte* y) {
    const std::size_t bytes = row_bytes(config_.hidden);
    spread(tokens, config_.hidden, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t)
        kernels_.rms_norm({.x = x + static_cast<std::size_t>(t) * bytes,
                           .dtype = plan_.dtype,
                           .size = config_.hidden,
                           .scale = scale,
                           .epsilon = static_cast<float>(config_.epsilon),
                           .y = y + static_cast<std::size_t>(t) * bytes});
    });
  }

  void before_attention(const LayerOf& layer, const Slice& slice) {
    timed(norms_part, [&] {
      normalise(row(hidden_, slice.first, config_.hidden), layer.attention_norm, slice.tokens, normed_);
    });
    product(qkv_part, layer.query_key_value, slice.rows, normed_, row(qkv_, slice.first, qkv_width()));
  }

  void rotate_and_remember(std::int64_t layer, std::int64_t) {
    const std::int64_t size = config_.head_size, heads = config_.heads, kept = config_.key_value_heads;
    for (const Sequence& sequence : sequences_)
      spread(sequence.tokens, qkv_width(), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
          std::byte* at = row(qkv_, sequence.first + t, qkv_width());
          const float* cosine = angles_.data() + (sequence.first + t) * size;
          kernels_.rotary({.x = at,
                           .dtype = plan_.dtype,
                           .heads = heads + kept,
                           .head_size = size,
                           .cosine = cosine,
                           .sine = cosine + size / 2});
          for (std::int64_t head = 0; head < kept; ++head)
            sequence.cache->store(layer, head, sequence.position + t, at + row_bytes((heads + head) * size),
                                  at + row_bytes((heads + kept + head) * size));
        }
      });
  }

  /// A call of attention: some tokens of one sequence, one head of keys and values.
  struct Piece {
    const Sequence* sequence = nullptr;
    std::int64_t head = 0, first = 0, tokens = 0;
  };

  /// Pieces of all sequences, the longest first: late tokens attend to the most.
  void cut_attention() {
    const std::int64_t most = std::max<std::int64_t>(1, attention_rows / config_.group());
    pieces_.clear();
    for (const Sequence& sequence : sequences_)
      for (std::int64_t first = 0; first < sequence.tokens; first += most)
        for (std::int64_t head = 0; head < config_.key_value_heads; ++head)
          pieces_.push_back({&sequence, head, first, std::min(most, sequence.tokens - first)});
    std::stable_sort(pieces_.begin(), pieces_.end(), [](const Piece& a, const Piece& b) {
      return a.sequence->position + a.first > b.sequence->position + b.first;
    });
  }

  void attend(std::int64_t layer) {
    if (layer == 0) cut_attention();
    const std::int64_t size = config_.head_size, group = config_.group();
    std::atomic<std::size_t> next{0};
    executor_.run([&](int worker) {
      for (std::size_t i = next++; i < pieces_.size(); i = next++) {
        const Piece& piece = pieces_[i];
        const Sequence& sequence = *piece.sequence;
        const std::int64_t token = sequence.first + piece.first;
        const std::size_t head = row_bytes(piece.head * group * size);
        kernels_.causal_attention(
            {.q = row(qkv_, token, qkv_width()) + head,
             .stride = qkv_width(),
             .dtype = plan_.dtype,
             .tokens = piece.tokens,
             .group = group,
             .head_size = size,
             .first = sequence.position + piece.first,
             .window = config_.sliding[static_cast<std::size_t>(layer)] ? config_.window : 0,
             .cache = sequence.cache->head(layer, piece.head),
             .block_stride = sequence.cache->block_stride(),
             .scale = 1.0f / std::sqrt(static_cast<float>(size)),
             .y = row(context_, token, config_.query_rows()) + head,
             .y_stride = config_.query_rows(),
             .scratch = scratch_ + scratch_floats_ * static_cast<std::size_t>(worker)});
      }
    });
  }

  /// The rest of a layer concerns every token for itself.
  void after_attention(const LayerOf& layer, const Slice& slice) {
    std::byte* hidden = row(hidden_, slice.first, config_.hidden);
    product(attention_output_part, layer.attention_output, slice.rows,
            row(context_, slice.first, config_.query_rows()), hidden, hidden);
    timed(norms_part, [&] { normalise(hidden, layer.feed_forward_norm, slice.tokens, normed_); });
    product(gate_and_up_part, layer.gate_and_up, slice.rows, normed_, gate_up_);
    timed(activation_part, [&] { activate(slice.tokens); });
    product(down_part, layer.down, slice.rows, inner_, hidden, hidden);
  }

  /// inner = silu(gate) · up
  void activate(std::int64_t tokens) {
    const std::int64_t width = config_.intermediate;
    spread(tokens, width, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t) {
        const std::byte* gate = row(gate_up_, t, 2 * width);
        kernels_.silu_multiply(gate, gate + row_bytes(width), plan_.dtype, width, row(inner_, t, width));
      }
    });
  }

  void give_logits(Logits which, std::span<float> logits) {
    wanted_.clear();
    for (const Sequence& s : sequences_)
      for (std::int64_t t = which == Logits::all ? 0 : s.tokens - 1; which != Logits::none && t < s.tokens;
           ++t)
        wanted_.push_back(s.first + t);
    std::vector<float> observed_norms;
    const auto count = static_cast<std::int64_t>(wanted_.size());
    for (std::int64_t first = 0; first < count; first += output_tokens) {
      const std::int64_t tokens = std::min(output_tokens, count - first);
      timed(norms_part, [&] {
        for (std::int64_t t = 0; t < tokens; ++t)
          normalise(row(hidden_, wanted_[static_cast<std::size_t>(first + t)], config_.hidden), final_norm_,
                    1, row(normed_, t, config_.hidden));
      });
      if (observer_) append(observed_norms, normed_, tokens);
      for (const Slice& slice : products_.slices(tokens)) {
        std::byte* out =
            memory_[6].get(static_cast<std::size_t>(slice.rows) * row_bytes(config_.vocabulary)).data();
        product(output_part, output_, slice.rows, row(normed_, slice.first, config_.hidden), out);
        timed(logits_part, [&] {
          widen(out, slice.tokens * config_.vocabulary,
                logits.data() + (first + slice.first) * config_.vocabulary);
        });
      }
    }
    if (observer_ && count > 0) observer_(config_.layers + 1, observed_norms);
  }

  void widen(const std::byte* x, std::int64_t count, float* y) {
    spread(count, 1, [&](std::int64_t begin, std::int64_t end) {
      kernels_.widen(x + row_bytes(begin), plan_.dtype, end - begin, y + begin);
    });
  }

  void append(std::vector<float>& values, const std::byte* rows, std::int64_t tokens) const {
    const std::size_t before = values.size();
    values.resize(before + static_cast<std::size_t>(tokens * config_.hidden));
    kernels_.widen(rows, plan_.dtype, tokens * config_.hidden, values.data() + before);
  }

  void observed(std::int64_t layer, const std::byte* rows, std::int64_t tokens) {
    if (!observer_) return;
    std::vector<float> values;
    append(values, rows, tokens);
    observer_(layer, values);
  }

  const Plan& plan_;
  Executor& executor_;
  Config config_;
  DecoderInfo info_;
  const kernels::TransformerKernels& kernels_;
  PlanTensors tensors_;
  Products products_;
  const std::byte* words_ = nullptr;    ///< where the embeddings are a table of their own,
  std::optional<RowReader> tied_rows_;  ///< and where they are the output layer
  const float* final_norm_ = nullptr;
  std::size_t output_ = 0;
  std::vector<LayerOf> layers_;
  cross::Decoder::Observer observer_;
  std::vector<PartTime> times_ = {
      {"embeddings", false, 0},    {"norms", false, 0},         {"query, key, value", true, 0},
      {"rotary, cache", false, 0}, {"attention", false, 0},     {"attention output", true, 0},
      {"gate and up", true, 0},    {"activation", false, 0},    {"feed-forward down", true, 0},
      {"output layer", true, 0},   {"logits to fp32", false, 0}};

  // Of the call in progress.
  std::vector<Sequence> sequences_;
  std::vector<Piece> pieces_;
  std::vector<std::int64_t> wanted_;
  std::vector<float> angles_;  ///< [tokens, 2, head_size / 2]: cosines, then sines
  base::AlignedBuffer memory_[7], scratch_memory_;
  std::byte *hidden_ = nullptr, *qkv_ = nullptr, *context_ = nullptr, *normed_ = nullptr;
  std::byte *gate_up_ = nullptr, *inner_ = nullptr;
  float* scratch_ = nullptr;
  std::size_t scratch_floats_ = 0;
};

}  // namespace

std::unique_ptr<DecoderNetwork> make_decoder(const Plan& plan, Executor& executor) {
  return std::make_unique<Decoder>(plan, executor);
}

}  // namespace cross::model::llama
