#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/json_fields.h"
#include "base/mapped_file.h"
#include "base/strict_json.h"
#include "cross/error.h"
#include "kernels/transformer/transformer.h"
#include "model/bert/bert.h"
#include "model/bert/config.h"
#include "model/bert/names.h"
#include "model/plan_tensors.h"
#include "model/products.h"
#include "model/tokenizer/read_word_piece.h"

namespace cross::model::bert {
namespace {

using clock = std::chrono::steady_clock;

/// Order of EncoderNetwork::parts.
enum Part {
  embeddings_part,
  qkv_part,
  attention_part,
  attention_output_part,
  feed_forward_part,
  norms_part,
  pooling_part
};

/// Heads that wait for each worker before attention begins: they take turns, so the last one costs little.
constexpr int heads_per_worker = 16;

struct Norm {
  const float* scale = nullptr;
  const float* shift = nullptr;
};

struct LayerOf {
  std::size_t query_key_value = 0, attention_output = 0, up = 0, down = 0;
  Norm attention_norm, output_norm;
};

/// The model part of a plan, checked.
struct Parts {
  Config config;
  WordPiece tokenizer;
};

Parts read_parts(const ModelPart& part) {
  const std::string where = "the plan's model";
  const nlohmann::json description = base::parse_strict_json(part.description, where);
  const base::Fields fields(description, where);
  const Config config = read_description(fields.at("config"), where + ", config");
  const WordPieceRules rules = read_rules(fields.at("tokenizer"), where + ", tokenizer");
  const PlanTensor* text = part.find(vocabulary);
  if (text == nullptr || text->type != StoredType::u8)
    throw InputError(where + ": has no vocabulary of bytes");
  std::string_view lines = base::as_text(text->data.bytes);
  std::vector<std::string> pieces;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    pieces.emplace_back(lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  if (static_cast<std::int64_t>(pieces.size()) > config.vocabulary)
    throw InputError(fmt::format("{}: the vocabulary has {} pieces for {} rows of the table", where,
                                 pieces.size(), config.vocabulary));
  return {config, WordPiece(rules, std::move(pieces), where)};
}

class Encoder final : public EncoderNetwork {
 public:
  Encoder(const Plan& plan, Executor& executor)
      : plan_(plan),
        executor_(executor),
        parts_of_plan_(read_parts(*plan.model)),
        config_(parts_of_plan_.config),
        kernels_(kernels::transformer_kernels(kernels::active_isa())),
        tensors_(plan),
        products_(plan, executor) {
    info_ = {plan.model->architecture, config_.layers,     config_.hidden,  config_.heads,
             config_.most_tokens,      config_.vocabulary, config_.pooling, config_.normalised};
    words_ = tensors_.table(word_table, config_.vocabulary, config_.hidden);
    positions_ = tensors_.table(position_table, config_.positions, config_.hidden);
    types_ = tensors_.table(type_table, config_.types, config_.hidden);
    embedding_norm_ = norm(embedding_norm);
    for (std::int64_t i = 0; i < config_.layers; ++i)
      layers_.push_back(
          {products_.layer(in_layer(i, query_key_value), 3 * config_.hidden, config_.hidden),
           products_.layer(in_layer(i, attention_output), config_.hidden, config_.hidden),
           products_.layer(in_layer(i, feed_forward_up), config_.intermediate, config_.hidden),
           products_.layer(in_layer(i, feed_forward_down), config_.hidden, config_.intermediate),
           norm(in_layer(i, attention_norm)), norm(in_layer(i, output_norm))});
  }

  const EncoderInfo& info() const override { return info_; }
  std::vector<std::int32_t> tokenize(std::string_view text) const override {
    return parts_of_plan_.tokenizer.tokenize(text, static_cast<std::size_t>(config_.most_tokens));
  }
  void observe(cross::Encoder::Observer observer) override { observer_ = std::move(observer); }
  void set_product_tokens(std::int64_t tokens) override { products_.set_most_tokens(tokens); }
  std::vector<PartTime>& parts() override { return times_; }

  void embed(const TokenBatch& batch, std::span<float> embeddings) override {
    const auto tokens = static_cast<std::int64_t>(batch.ids.size());
    const std::vector<Slice> slices = products_.slices(tokens);
    reserve(batch, slices);
    timed(embeddings_part, [&] { look_up(batch); });
    observed(0, tokens);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      run_layer(layers_[i], batch, slices);
      observed(static_cast<std::int64_t>(i) + 1, tokens);
    }
    timed(pooling_part, [&] { pool(batch, embeddings); });
  }

 private:
  Norm norm(const std::string& name) {
    const float* scale = tensors_.floats(name + ".weight", config_.hidden);
    return {scale, tensors_.floats(name + ".bias", config_.hidden)};
  }

  // ---- memory

  std::size_t row_bytes(std::int64_t width) const {
    return static_cast<std::size_t>(width) * size_of(plan_.dtype);
  }
  std::byte* row(std::byte* buffer, std::int64_t token, std::int64_t width) const {
    return buffer + static_cast<std::size_t>(token) * row_bytes(width);
  }

  void reserve(const TokenBatch& batch, const std::vector<Slice>& slices) {
    const std::int64_t rows = Products::padded(static_cast<std::int64_t>(batch.ids.size()));
    std::int64_t slice_rows = 0, longest = 0;
    for (const Slice& slice : slices) slice_rows = std::max(slice_rows, slice.rows);
    for (std::size_t i = 0; i < batch.sentences(); ++i) longest = std::max(longest, batch.tokens(i));
    hidden_ = memory_[0].get(static_cast<std::size_t>(rows) * row_bytes(config_.hidden)).data();
    context_ = memory_[1].get(static_cast<std::size_t>(rows) * row_bytes(config_.hidden)).data();
    qkv_ = memory_[2].get(static_cast<std::size_t>(rows) * row_bytes(3 * config_.hidden)).data();
    sum_ = memory_[3].get(static_cast<std::size_t>(slice_rows) * row_bytes(config_.hidden)).data();
    const std::size_t floats = std::max(
        {static_cast<std::size_t>(config_.hidden), kernels_.attention_scratch(longest, config_.head_size())});
    scratch_floats_ = (floats + 15) / 16 * 16;
    scratch_ = reinterpret_cast<float*>(
        scratch_memory_.get(scratch_floats_ * 4 * static_cast<std::size_t>(executor_.workers())).data());
  }
  float* scratch_of(int worker) const {
    return scratch_ + scratch_floats_ * static_cast<std::size_t>(worker);
  }

  // ---- steps

  template <class Step>
  void timed(Part part, Step&& step) {
    const auto start = clock::now();
    step();
    times_[part].seconds += std::chrono::duration<double>(clock::now() - start).count();
  }

  static RunArgs arguments(std::int64_t rows, const std::byte* x, std::byte* y, const std::byte* residual) {
    RunArgs args;
    args.x = x;
    args.y = y;
    args.tokens = rows;
    args.residual = residual;
    return args;
  }

  void product(Part part, std::size_t layer, std::int64_t rows, const std::byte* x, std::byte* y,
               const std::byte* residual = nullptr) {
    timed(part, [&] { products_.run(layer, arguments(rows, x, y, residual)); });
  }

  /// Attention follows as soon as there are sentences enough for all workers whose queries, keys and values
  /// are computed, and so does what comes after it: what one step stores is still in the caches when the next
  /// reads it.
  void run_layer(const LayerOf& layer, const TokenBatch& batch, const std::vector<Slice>& slices) {
    const auto enough = static_cast<std::size_t>(heads_per_worker * executor_.workers());
    std::size_t attended = 0, ready = 0;
    auto unfinished = slices.begin();
    for (const Slice& slice : slices) {
      product(qkv_part, layer.query_key_value, slice.rows, row(hidden_, slice.first, config_.hidden),
              row(qkv_, slice.first, 3 * config_.hidden));
      while (ready < batch.sentences() && batch.offsets[ready + 1] <= slice.first + slice.tokens) ++ready;
      if (&slice != &slices.back() && (ready - attended) * static_cast<std::size_t>(config_.heads) < enough)
        continue;
      timed(attention_part, [&] { attend(batch, slices, attended, ready); });
      attended = ready;
      for (; unfinished != slices.end() && unfinished->first + unfinished->tokens <= batch.offsets[attended];
           ++unfinished)
        after_attention(layer, *unfinished);
    }
  }

  /// The rest of a layer concerns every token for itself.
  void after_attention(const LayerOf& layer, const Slice& slice) {
    std::byte* hidden = row(hidden_, slice.first, config_.hidden);
    product(attention_output_part, layer.attention_output, slice.rows,
            row(context_, slice.first, config_.hidden), sum_, hidden);
    timed(norms_part, [&] { normalise(layer.attention_norm, slice.tokens, hidden); });
    timed(feed_forward_part, [&] {
      products_.run_chain(layer.up, layer.down, config_.activation,
                          arguments(slice.rows, hidden, sum_, hidden));
    });
    timed(norms_part, [&] { normalise(layer.output_norm, slice.tokens, hidden); });
  }

  /// step(first, last, worker) for an equal share of `count` things per worker.
  template <class Step>
  void spread(std::int64_t count, Step&& step) {
    const int workers = executor_.workers();
    executor_.run(
        [&](int worker) { step(count * worker / workers, count * (worker + 1) / workers, worker); });
  }

  /// hidden = LayerNorm(word + position + type 0)
  void look_up(const TokenBatch& batch) {
    std::vector<std::int32_t> position(batch.ids.size());
    for (std::size_t i = 0; i < batch.sentences(); ++i)
      for (std::int64_t t = batch.offsets[i]; t < batch.offsets[i + 1]; ++t)
        position[static_cast<std::size_t>(t)] = static_cast<std::int32_t>(t - batch.offsets[i]);
    const std::size_t bytes = row_bytes(config_.hidden);
    spread(static_cast<std::int64_t>(batch.ids.size()),
           [&](std::int64_t begin, std::int64_t end, int worker) {
             for (auto t = static_cast<std::size_t>(begin); t < static_cast<std::size_t>(end); ++t)
               layer_norm(embedding_norm_,
                          {words_ + static_cast<std::size_t>(batch.ids[t]) * bytes,
                           positions_ + static_cast<std::size_t>(position[t]) * bytes, types_},
                          hidden_ + t * bytes, scratch_of(worker));
           });
  }

  /// hidden = LayerNorm(sum)
  void normalise(const Norm& norm, std::int64_t tokens, std::byte* hidden) {
    spread(tokens, [&](std::int64_t begin, std::int64_t end, int worker) {
      for (std::int64_t t = begin; t < end; ++t)
        layer_norm(norm, {row(sum_, t, config_.hidden), nullptr, nullptr}, row(hidden, t, config_.hidden),
                   scratch_of(worker));
    });
  }

  void layer_norm(const Norm& norm, std::array<const std::byte*, 3> addends, std::byte* y,
                  float* scratch) const {
    kernels_.layer_norm({.addends = {addends[0], addends[1], addends[2]},
                         .dtype = plan_.dtype,
                         .size = config_.hidden,
                         .scale = norm.scale,
                         .shift = norm.shift,
                         .epsilon = static_cast<float>(config_.epsilon),
                         .y = y,
                         .scratch = scratch});
  }

  /// context = softmax(q·kᵀ/√d)·v per head of the sentences [begin, end). A worker begins with the sentences
  /// whose tokens it has in its caches, the products' slices being shared out evenly; they differ in length,
  /// so whoever is done helps others.
  void attend(const TokenBatch& batch, const std::vector<Slice>& slices, std::size_t begin, std::size_t end) {
    const auto workers = static_cast<std::size_t>(executor_.workers());
    std::vector<std::vector<std::size_t>> sentences(workers);
    auto slice = slices.begin();
    for (std::size_t i = begin; i < end; ++i) {
      while (batch.offsets[i] >= slice->first + slice->tokens) ++slice;
      const std::int64_t owner =
          (batch.offsets[i] - slice->first) * static_cast<std::int64_t>(workers) / slice->rows;
      sentences[static_cast<std::size_t>(owner)].push_back(i);
    }
    const auto heads = static_cast<std::size_t>(config_.heads);
    std::vector<std::atomic<std::size_t>> next(workers);
    executor_.run([&](int worker) {
      for (std::size_t other = 0; other < workers; ++other) {
        const std::size_t owner = (static_cast<std::size_t>(worker) + other) % workers;
        const std::vector<std::size_t>& mine = sentences[owner];
        for (std::size_t i = next[owner]++; i < mine.size() * heads; i = next[owner]++)
          attend(batch, mine[i / heads], static_cast<std::int64_t>(i % heads), scratch_of(worker));
      }
    });
  }

  void attend(const TokenBatch& batch, std::size_t sentence, std::int64_t head, float* scratch) {
    const std::int64_t size = config_.head_size();
    const auto first = static_cast<std::size_t>(batch.offsets[sentence]);
    const std::byte* q = qkv_ + first * row_bytes(3 * config_.hidden) + row_bytes(head * size);
    kernels_.attention({.q = q,
                        .k = q + row_bytes(config_.hidden),
                        .v = q + row_bytes(2 * config_.hidden),
                        .stride = 3 * config_.hidden,
                        .dtype = plan_.dtype,
                        .tokens = batch.tokens(sentence),
                        .head_size = size,
                        .scale = 1.0f / std::sqrt(static_cast<float>(size)),
                        .y = context_ + first * row_bytes(config_.hidden) + row_bytes(head * size),
                        .y_stride = config_.hidden,
                        .scratch = scratch});
  }

  void pool(const TokenBatch& batch, std::span<float> embeddings) {
    const auto hidden = static_cast<std::size_t>(config_.hidden);
    spread(static_cast<std::int64_t>(batch.sentences()), [&](std::int64_t begin, std::int64_t end, int) {
      for (auto s = static_cast<std::size_t>(begin); s < static_cast<std::size_t>(end); ++s) {
        float* out = embeddings.data() + s * hidden;
        std::fill_n(out, hidden, 0.0f);
        const std::int64_t tokens = config_.pooling == Pooling::cls ? 1 : batch.tokens(s);
        for (std::int64_t t = 0; t < tokens; ++t)
          kernels_.accumulate(out, row(hidden_, batch.offsets[s] + t, config_.hidden), plan_.dtype,
                              config_.hidden);
        double squares = 0;
        for (std::size_t i = 0; i < hidden; ++i) {
          out[i] /= static_cast<float>(tokens);
          squares += static_cast<double>(out[i]) * out[i];
        }
        // The reference divides by 1e-12 at least.
        const auto length = static_cast<float>(std::max(std::sqrt(squares), 1e-12));
        if (config_.normalised)
          for (std::size_t i = 0; i < hidden; ++i) out[i] /= length;
      }
    });
  }

  void observed(std::int64_t layer, std::int64_t tokens) {
    if (!observer_) return;
    std::vector<float> values(static_cast<std::size_t>(tokens * config_.hidden), 0.0f);
    kernels_.accumulate(values.data(), hidden_, plan_.dtype, tokens * config_.hidden);
    observer_(layer, values);
  }

  const Plan& plan_;
  Executor& executor_;
  Parts parts_of_plan_;
  const Config& config_;
  EncoderInfo info_;
  const kernels::TransformerKernels& kernels_;
  PlanTensors tensors_;
  Products products_;
  const std::byte *words_ = nullptr, *positions_ = nullptr, *types_ = nullptr;
  Norm embedding_norm_;
  std::vector<LayerOf> layers_;
  cross::Encoder::Observer observer_;
  std::vector<PartTime> times_ = {{"embeddings", false, 0},  {"query, key, value", true, 0},
                                  {"attention", false, 0},   {"attention output", true, 0},
                                  {"feed-forward", true, 0}, {"layer norms", false, 0},
                                  {"pooling", false, 0}};
  base::AlignedBuffer memory_[4], scratch_memory_;
  std::byte *hidden_ = nullptr, *sum_ = nullptr, *context_ = nullptr, *qkv_ = nullptr;
  float* scratch_ = nullptr;
  std::size_t scratch_floats_ = 0;
};

}  // namespace

std::unique_ptr<EncoderNetwork> make_encoder(const Plan& plan, Executor& executor) {
  return std::make_unique<Encoder>(plan, executor);
}

}  // namespace cross::model::bert
