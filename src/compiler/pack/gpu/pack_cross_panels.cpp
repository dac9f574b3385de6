#include "compiler/pack/gpu/pack_cross_panels.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "compiler/balance/units.h"
#include "compiler/pack/gpu/blob_writer.h"
#include "compiler/pack/gpu/cross_schedule.h"
#include "compiler/pack/gpu/formats.h"
#include "cross/error.h"
#include "plan/formats/gpu/cross_panels.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

/// W[r, c] as fp32 bits; zero where it is pruned. −0.0 is kept whatever dtype it is stored in.
std::uint32_t float_bits(const MatrixView& weight, std::int64_t r, std::int64_t c) {
  return weight.bits(r, c) == 0 ? 0 : std::bit_cast<std::uint32_t>(weight.value(r, c));
}

bool is_finite(std::uint32_t bits) { return (bits & 0x7f800000u) != 0x7f800000u; }

/// 2^exponent brings the largest finite weight of the row into [2^14, 2^15).
std::int32_t row_exponent(const MatrixView& weight, std::int64_t row) {
  float largest = 0.0f;
  for (std::int64_t c = 0; c < weight.cols; ++c) {
    const float value = std::bit_cast<float>(float_bits(weight, row, c));
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  }
  return largest > 0.0f ? std::clamp(14 - std::ilogb(largest), -113, 126) : 0;
}

/// The weights of one block of 128x64 (a share's part of a K step), row by row.
struct Block {
  std::array<std::uint32_t, cross_share_rows * cross_k> bits;
  std::int64_t kept = 0;
  std::array<std::int64_t, 2> half{};
  bool tensor_can = true;  ///< no Inf or NaN: those cannot be split

  /// @param share  counted over all panels
  Block(const MatrixView& weight, std::int64_t share, std::int64_t k_step) : bits{} {
    const std::int64_t row0 = share * cross_share_rows, col0 = k_step * cross_k;
    const std::int64_t rows = std::min<std::int64_t>(cross_share_rows, weight.rows - row0);
    const std::int64_t cols = std::min<std::int64_t>(cross_k, weight.cols - col0);
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < cols; ++c) {
        const std::uint32_t value = float_bits(weight, row0 + r, col0 + c);
        if (value == 0) continue;
        bits[static_cast<std::size_t>(r * cross_k + c)] = value;
        ++half[static_cast<std::size_t>(r / cross_half_rows)];
        tensor_can = tensor_can && is_finite(value);
      }
    kept = half[0] + half[1];
  }
  std::uint32_t at(int row, int col) const { return bits[static_cast<std::size_t>(row * cross_k + col)]; }
};

void append(std::vector<std::byte>& out, const void* from, std::size_t bytes) {
  const auto* begin = static_cast<const std::byte*>(from);
  out.insert(out.end(), begin, begin + bytes);
}

void pad(std::vector<std::byte>& out, std::size_t unit) { out.resize((out.size() + unit - 1) / unit * unit); }

/// One half of a tensor step; returns its bytes.
std::uint32_t append_half(std::vector<std::byte>& out, const Block& block, int half) {
  std::array<std::uint32_t, 4 * cross_registers> mask{};
  std::array<std::uint16_t, 4 * cross_registers> first{};
  std::vector<std::uint32_t> values;
  for (int warp = 0; warp < 4; ++warp)
    for (int reg = 0; reg < cross_registers; ++reg) {
      const auto at = static_cast<std::size_t>(warp * cross_registers + reg);
      first[at] = static_cast<std::uint16_t>(4 * values.size());
      for (int lane = 0; lane < 32; ++lane) {
        const std::uint32_t value = block.at(cross_half_rows * half + cross_fragment_row(warp, lane, reg),
                                             cross_fragment_col(lane, reg));
        if (value == 0) continue;
        mask[at] |= 1u << lane;
        values.push_back(value);
      }
    }
  const std::size_t begin = out.size();
  append(out, mask.data(), sizeof mask);
  append(out, first.data(), sizeof first);
  append(out, values.data(), 4 * values.size());
  pad(out, 16);
  return static_cast<std::uint32_t>(out.size() - begin);
}

/// Kept weights of lists [list_begin, list_end) in some blocks, as a chunk's payload.
struct ChunkLists {
  struct Weight {
    std::uint32_t at, bits;
  };
  std::array<std::vector<Weight>, cross_share_rows> rows;

  void add(const Block& block, int window_step, int list_begin, int list_end) {
    for (int r = 4 * list_begin; r < 4 * list_end; ++r)
      for (int c = 0; c < cross_k; ++c)
        if (const std::uint32_t bits = block.at(r, c); bits != 0)
          rows[static_cast<std::size_t>(r)].push_back(
              {128u * static_cast<std::uint32_t>(cross_k * window_step + c), bits});
  }
  std::uint32_t pairs(int list) const {
    std::size_t most = 0;
    for (int q = 0; q < 4; ++q) most = std::max(most, rows[static_cast<std::size_t>(4 * list + q)].size());
    return static_cast<std::uint32_t>((most + 1) / 2);
  }
  std::uint32_t pairs() const {
    std::uint32_t sum = 0;
    for (int l = 0; l < cross_lists; ++l) sum += pairs(l);
    return sum;
  }
  static std::uint32_t bytes(std::uint32_t pairs) { return cross_chunk_header + pairs * cross_pair_bytes; }
  void write(std::vector<std::byte>& out) const {
    std::array<std::uint16_t, cross_chunk_header / 2> first{};
    std::vector<std::uint32_t> values;
    std::vector<std::uint16_t> at;
    for (int l = 0; l < cross_lists; ++l) {
      for (std::uint32_t p = 0; p < pairs(l); ++p)
        for (int q = 0; q < 4; ++q)
          for (std::uint32_t e = 0; e < 2; ++e) {
            const auto& row = rows[static_cast<std::size_t>(4 * l + q)];
            const bool filling = 2 * p + e >= row.size();
            values.push_back(filling ? 0 : row[2 * p + e].bits);
            at.push_back(static_cast<std::uint16_t>(filling ? cross_filling : row[2 * p + e].at));
          }
      first[static_cast<std::size_t>(l + 1)] = static_cast<std::uint16_t>(values.size() / 8);
    }
    append(out, first.data(), sizeof first);
    append(out, values.data(), 4 * values.size());
    append(out, at.data(), 2 * at.size());
  }
};

struct PackedPanel {
  std::vector<CrossStep> steps;  ///< `at` relative to the panel's bytes
  std::vector<CrossChunk> chunks[cross_shares];
  std::vector<std::byte> bytes;
  std::int64_t kept = 0;
  CrossPanelLoad load;
  CrossDecision decision;
};

double dense_price(const Block& block, const CrossPrices& prices) {
  return ((block.half[0] > 0 ? 1 : 0) + (block.half[1] > 0 ? 1 : 0)) * prices.tensor_half;
}

double gather_price(const Block& block, const CrossPrices& prices) {
  return static_cast<double>(block.kept) * prices.gather_weight + prices.gather_chunk / cross_chunk_steps;
}

/// A block whose gathering takes this many times its tensor price is never worth moving: the CUDA cores would
/// be busy with it while the tensor cores do several others.
constexpr double most_ratio = 12.0;
constexpr double sparse_ratio = 0.8;

Band band_of(const Block& block, const CrossPrices& prices) {
  if (!block.tensor_can) return Band::sparse;
  const double ratio = gather_price(block, prices) / dense_price(block, prices);
  return ratio < sparse_ratio ? Band::sparse : ratio > most_ratio ? Band::dense : Band::swing;
}

class PanelPacker {
 public:
  PanelPacker(const MatrixView& weight, std::int64_t panel, const CrossPanelsOptions& options)
      : weight_(weight), panel_(panel), options_(options), prices_(options.prices) {}

  PackedPanel pack() {
    const std::int64_t k_steps = (weight_.cols + cross_k - 1) / cross_k;
    std::vector<bool> on_tensor[cross_shares];
    for (int share = 0; share < cross_shares; ++share) {
      on_tensor[share].resize(static_cast<std::size_t>(k_steps));
      const std::vector<std::int64_t> gathered = decide(share, on_tensor[share]);
      add_chunks(share, gathered);
      result_.load.chunks[share] = static_cast<std::uint32_t>(result_.chunks[share].size());
    }
    for (std::int64_t k = 0; k < k_steps; ++k) {
      const auto at = static_cast<std::size_t>(k);
      if (on_tensor[0][at] || on_tensor[1][at]) add_step(k, {on_tensor[0][at], on_tensor[1][at]});
    }
    result_.load.steps = static_cast<std::uint32_t>(result_.steps.size());
    return std::move(result_);
  }

 private:
  std::int64_t index_of(int share) const { return panel_ * cross_shares + share; }

  /// Bands and balance of one share; returns the K steps that CUDA cores gather.
  std::vector<std::int64_t> decide(int share, std::vector<bool>& on_tensor) {
    std::vector<std::int64_t> filled, gathered;
    std::vector<UnitBlock> blocks;
    std::vector<bool> forced;
    for (std::int64_t k = 0; k < std::ssize(on_tensor); ++k) {
      const Block block(weight_, index_of(share), k);
      if (block.kept == 0) {
        ++result_.decision.bands.empty;
        continue;
      }
      result_.kept += block.kept;
      filled.push_back(k);
      forced.push_back(!block.tensor_can);
      const Band band = band_of(block, prices_);
      blocks.push_back({band, block.tensor_can ? dense_price(block, prices_) : not_available,
                        gather_price(block, prices_)});
      ++(band == Band::dense    ? result_.decision.bands.dense
         : band == Band::sparse ? result_.decision.bands.sparse
                                : result_.decision.bands.swing);
    }
    const std::vector<Unit> units = assign(blocks, forced);
    for (std::size_t i = 0; i < filled.size(); ++i) {
      if (units[i] == Unit::sparse)
        gathered.push_back(filled[i]);
      else
        on_tensor[static_cast<std::size_t>(filled[i])] = true;
    }
    result_.decision.tensor_steps += static_cast<std::int64_t>(filled.size() - gathered.size());
    result_.decision.gathered_steps += static_cast<std::int64_t>(gathered.size());
    return gathered;
  }

  std::vector<Unit> assign(const std::vector<UnitBlock>& blocks, const std::vector<bool>& forced) {
    const UnitModel model{true, prices_.dense_slowdown, prices_.sparse_slowdown};
    using Units = CrossPanelsOptions::Units;
    UnitBalance balance = balance_units(blocks, model);
    std::vector<Unit> units = balance.units;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      if (options_.units == Units::all_tensor) units[i] = forced[i] ? Unit::sparse : Unit::dense;
      if (options_.units == Units::all_gather) units[i] = Unit::sparse;
      if (options_.units == Units::bands_only)
        units[i] = forced[i] || blocks[i].sparse_price < blocks[i].dense_price ? Unit::sparse : Unit::dense;
    }
    if (options_.units == Units::fraction) {
      // Spread evenly over the panel: block i is gathered where the running share steps up.
      const double f = std::clamp(options_.gather_fraction, 0.0, 1.0);
      for (std::size_t i = 0; i < blocks.size(); ++i) {
        const auto at = static_cast<double>(i);
        units[i] = forced[i] || std::floor(f * (at + 1)) > std::floor(f * at) ? Unit::sparse : Unit::dense;
      }
    }
    CrossDecision& d = result_.decision;
    double tensor = 0.0, gather = 0.0;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      d.all_tensor += forced[i] ? blocks[i].sparse_price : blocks[i].dense_price;
      (units[i] == Unit::dense ? tensor : gather) +=
          units[i] == Unit::dense ? blocks[i].dense_price : blocks[i].sparse_price;
    }
    d.tensor_load += tensor;
    d.gather_load += gather;
    d.before += balance.start_finish;
    d.after += finish_time(tensor, gather, model);
    // Both CTAs walk through the steps together.
    result_.load.clocks = std::max(result_.load.clocks, finish_time(tensor, gather, model));
    return units;
  }

  void add_step(std::int64_t k_step, const std::array<bool, cross_shares>& wanted) {
    CrossStep step;
    step.k_step = static_cast<std::uint32_t>(k_step);
    step.at = static_cast<std::uint32_t>(result_.bytes.size() / cross_unit);
    for (int share = 0; share < cross_shares; ++share) {
      if (!wanted[static_cast<std::size_t>(share)]) continue;
      const Block block(weight_, index_of(share), k_step);
      for (int half = 0; half < 2; ++half)
        if (block.half[static_cast<std::size_t>(half)] > 0)
          step.units[2 * share + half] =
              static_cast<std::uint16_t>(append_half(result_.bytes, block, half) / cross_unit);
    }
    result_.steps.push_back(step);
  }

  void add_chunk(int share, const ChunkLists& lists, std::span<const std::int64_t> k_steps) {
    CrossChunk chunk;
    for (std::size_t j = 0; j < k_steps.size(); ++j) chunk.k_step[j] = static_cast<std::uint32_t>(k_steps[j]);
    chunk.steps = static_cast<std::uint32_t>(k_steps.size());
    chunk.at = static_cast<std::uint32_t>(result_.bytes.size() / cross_unit);
    chunk.pairs = lists.pairs();
    chunk.bytes = ChunkLists::bytes(chunk.pairs);
    lists.write(result_.bytes);
    result_.chunks[share].push_back(chunk);
  }

  /// Up to four neighbouring steps a chunk, fewer where their weights would not fit; a step that does not fit
  /// by itself is cut into quarters of the share.
  void add_chunks(int share, std::span<const std::int64_t> k_steps) {
    std::size_t begin = 0;
    while (begin < k_steps.size()) {
      std::size_t count = std::min<std::size_t>(cross_chunk_steps, k_steps.size() - begin);
      for (;; --count) {
        ChunkLists lists;
        for (std::size_t j = 0; j < count; ++j)
          lists.add(Block(weight_, index_of(share), k_steps[begin + j]), static_cast<int>(j), 0, cross_lists);
        if (ChunkLists::bytes(lists.pairs()) <= cross_max_chunk_bytes) {
          add_chunk(share, lists, k_steps.subspan(begin, count));
          break;
        }
        if (count > 1) continue;
        const Block block(weight_, index_of(share), k_steps[begin]);
        for (int part = 0; part < 4; ++part) {
          ChunkLists quarter;
          quarter.add(block, 0, part * cross_lists / 4, (part + 1) * cross_lists / 4);
          if (quarter.pairs() > 0) add_chunk(share, quarter, k_steps.subspan(begin, 1));
        }
        break;
      }
      begin += count;
    }
  }

  const MatrixView& weight_;
  std::int64_t panel_;
  const CrossPanelsOptions& options_;
  const CrossPrices& prices_;
  PackedPanel result_;
};

void add(CrossDecision& sum, const CrossDecision& one) {
  sum.bands.dense += one.bands.dense;
  sum.bands.swing += one.bands.swing;
  sum.bands.sparse += one.bands.sparse;
  sum.bands.empty += one.bands.empty;
  sum.tensor_steps += one.tensor_steps;
  sum.gathered_steps += one.gathered_steps;
  sum.all_tensor += one.all_tensor;
  sum.before += one.before;
  sum.after += one.after;
  sum.tensor_load += one.tensor_load;
  sum.gather_load += one.gather_load;
}

CrossDecision sum_of(const std::vector<PackedPanel>& panels) {
  CrossDecision sum;
  for (const PackedPanel& panel : panels) add(sum, panel.decision);
  return sum;
}

std::vector<PackedPanel> pack_panels(const MatrixView& weight, std::int32_t panels,
                                     const CrossPanelsOptions& options, int threads) {
  std::vector<PackedPanel> packed(static_cast<std::size_t>(panels));
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::int32_t p = 0; p < panels; ++p)
    packed[static_cast<std::size_t>(p)] = PanelPacker(weight, p, options).pack();
  return packed;
}

constexpr std::uint32_t round_to_128(std::uint32_t bytes) { return (bytes + 127) / 128 * 128; }

}  // namespace

std::vector<std::byte> pack_cross_panels(const MatrixView& weight, const GpuTarget& target, int threads,
                                         std::int64_t& kept, CrossDecision* decision) {
  auto header = begin_header<CrossPanelsHeader>(Format::cross_panels, weight);
  header.panels = static_cast<std::int32_t>((weight.rows + cross_rows - 1) / cross_rows);
  header.k_steps = static_cast<std::int32_t>((weight.cols + cross_k - 1) / cross_k);
  header.workers = std::max(1, target.sms / cross_shares);

  const auto panels = static_cast<std::size_t>(header.panels);
  CrossPanelsOptions options = target.cross;
  std::vector<PackedPanel> packed = pack_panels(weight, header.panels, options, threads);
  CrossDecision sum = sum_of(packed);
  if (options.units == CrossPanelsOptions::Units::balanced && sum.gathered_steps > 0 &&
      sum.after > (1.0 - target.cross.prices.least_gain) * sum.all_tensor) {
    options.units = CrossPanelsOptions::Units::all_tensor;
    packed = pack_panels(weight, header.panels, options, threads);
    sum = sum_of(packed);
  }
  std::vector<std::int32_t> exponents(panels * cross_rows);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (std::int32_t r = 0; r < header.rows; ++r)
    exponents[static_cast<std::size_t>(r)] = row_exponent(weight, r);

  std::vector<std::uint32_t> panel_steps{0}, panel_chunks{0};
  std::vector<CrossStep> steps;
  std::vector<CrossChunk> chunks;
  std::vector<CrossPanelLoad> loads;
  std::uint64_t units = 0;
  kept = 0;
  for (PackedPanel& panel : packed) {
    panel.load.first_step = panel_steps.back();
    for (CrossStep step : panel.steps) {
      for (int share = 0; share < cross_shares; ++share) {
        const std::uint32_t bytes = cross_unit * (step.units[2 * share] + step.units[2 * share + 1]);
        header.step_bytes = std::max(header.step_bytes, static_cast<std::int32_t>(round_to_128(bytes)));
      }
      step.at += static_cast<std::uint32_t>(units);
      steps.push_back(step);
    }
    for (int share = 0; share < cross_shares; ++share) {
      panel.load.first_chunk[share] = panel_chunks.back();
      for (CrossChunk chunk : panel.chunks[share]) {
        header.chunk_bytes =
            std::max(header.chunk_bytes, static_cast<std::int32_t>(round_to_128(chunk.bytes)));
        chunk.at += static_cast<std::uint32_t>(units);
        chunks.push_back(chunk);
      }
      panel_chunks.push_back(static_cast<std::uint32_t>(chunks.size()));
    }
    panel_steps.push_back(static_cast<std::uint32_t>(steps.size()));
    loads.push_back(panel.load);
    units += panel.bytes.size() / cross_unit;
    kept += panel.kept;
  }

  std::vector<std::uint32_t> worker_pieces;
  std::vector<CrossPiece> pieces;
  for (int tiles = 1; tiles <= cross_max_tiles; ++tiles) {
    const CrossDeal deal =
        deal_cross_panels(tiles, header.workers, loads, target.cross.policy, target.cross.prices.piece);
    header.schedules[static_cast<std::size_t>(tiles - 1)] = deal.schedule;
    sum.imbalance[static_cast<std::size_t>(tiles - 1)] = deal.imbalance;
    for (const auto& worker : deal.workers) {
      worker_pieces.push_back(static_cast<std::uint32_t>(pieces.size()));
      pieces.insert(pieces.end(), worker.begin(), worker.end());
    }
    worker_pieces.push_back(static_cast<std::uint32_t>(pieces.size()));
  }
  header.pieces = static_cast<std::int32_t>(pieces.size());

  BlobWriter writer(sizeof header);
  header.exponents = writer.append(exponents);
  header.panel_steps = writer.append(panel_steps);
  header.panel_chunks = writer.append(panel_chunks);
  header.steps = writer.append(steps);
  header.chunks = writer.append(chunks);
  header.worker_pieces = writer.append(worker_pieces);
  header.piece_list = writer.append(pieces);
  header.value_bytes = units * cross_unit;
  header.values = writer.reserve<std::byte>(header.value_bytes);
  std::uint64_t at = header.values;
  for (const PackedPanel& panel : packed) {
    if (!panel.bytes.empty()) std::memcpy(writer.at(at), panel.bytes.data(), panel.bytes.size());
    at += panel.bytes.size();
  }
  if (decision != nullptr) *decision = sum;
  return writer.finish(header);
}

}  // namespace cross::compiler
