// From sums of pieces to outputs: pieces of a row are added in the order of columns, then the slices of K in
// theirs.
#pragma once

#include "kernels/cuda/delta_params.cuh"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

/// Neighbouring tokens of a row that a thread adds up at a time.
template <int width>
struct TokenSums {
  float v[width] = {};

  __device__ void add(const TokenSums& other) {
#pragma unroll
    for (int i = 0; i < width; ++i) v[i] += other.v[i];
  }
  __device__ static TokenSums from_shared(const float* at) {
    TokenSums s;
    if constexpr (width == 4) {
      const float4 four = *reinterpret_cast<const float4*>(at);
      s.v[0] = four.x, s.v[1] = four.y, s.v[2] = four.z, s.v[3] = four.w;
    } else {
      s.v[0] = *at;
    }
    return s;
  }
  __device__ static TokenSums from_global(const float* at) {
    TokenSums s;
    if constexpr (width == 4) {
      const float4 four = __ldcg(reinterpret_cast<const float4*>(at));
      s.v[0] = four.x, s.v[1] = four.y, s.v[2] = four.z, s.v[3] = four.w;
    } else {
      s.v[0] = __ldcg(at);
    }
    return s;
  }
  __device__ void to_global(float* at) const {
    if constexpr (width == 4)
      __stcg(reinterpret_cast<float4*>(at), make_float4(v[0], v[1], v[2], v[3]));
    else
      __stcg(at, v[0]);
  }
  template <class T>
  __device__ void to_output(const EpilogueArgs<T>& epilogue, std::int32_t row, int token, int tokens) const {
#pragma unroll
    for (int i = 0; i < width; ++i)
      if (token + i < tokens) store_output(epilogue, row, token + i, v[i]);
  }
};

/// Adds the pieces of every row of the CTA, in the order of columns: outputs if K is in one slice, else
/// partial sums.
template <class T, int pad>
__device__ void add_pieces(const DeltaParams<T>& p, const std::byte* shared, const DeltaShared& places) {
  constexpr int width = pad == 1 ? 1 : 4, per_row = pad / width;
  const DeltaDirectory layout(p.max_pieces, p.part_tiles);
  const auto* slots = reinterpret_cast<const float*>(shared + places.slots);
  const auto* tile_piece =
      reinterpret_cast<const std::uint16_t*>(shared + places.directory + layout.tile_piece);
  const auto* row_place =
      reinterpret_cast<const std::uint16_t*>(shared + places.directory + layout.row_place);
  const auto* part_rows = reinterpret_cast<const std::int32_t*>(shared + places.rows);
  const int rows = p.part_tiles * delta_tile_rows;
  float* partial = p.partial + static_cast<std::int64_t>(blockIdx.x) * rows * pad;
  for (int i = static_cast<int>(threadIdx.x); i < rows * per_row; i += static_cast<int>(blockDim.x)) {
    const int r = i / per_row, token = i % per_row * width;
    const int place = row_place[r];
    if (place == formats::gpu::delta_no_row || token >= p.tokens) continue;
    const int tile = place / delta_tile_rows, end = tile_piece[tile + 1];
    TokenSums<width> sums;
    for (int piece = tile_piece[tile]; piece < end; ++piece)
      sums.add(TokenSums<width>::from_shared(
          slots + (piece * delta_tile_rows + place % delta_tile_rows) * pad + token));
    if (p.slices == 1)
      sums.to_output(p.epilogue, part_rows[r], token, p.tokens);
    else
      sums.to_global(partial + i * width);
  }
}

/// The last CTA of a part to arrive adds its slices, in order.
template <class T, int pad>
__device__ void add_slices(const DeltaParams<T>& p, const std::int32_t* part_rows) {
  constexpr int width = pad == 1 ? 1 : 4, per_row = pad / width;
  __shared__ bool last;
  __syncthreads();
  const int part = static_cast<int>(blockIdx.x) / p.slices;
  if (threadIdx.x == 0) {  // with the barriers around it: for all threads of the CTA
    last = arrive(p.arrived + part) == static_cast<std::uint32_t>(p.slices - 1);
    if (last) p.arrived[part] = 0;
  }
  __syncthreads();
  if (!last) return;
  const int rows = p.part_tiles * delta_tile_rows;
  const std::int64_t pitch = static_cast<std::int64_t>(rows) * pad;
  const float* first = p.partial + part * p.slices * pitch;
  // Loads of two places and eight slices in flight: they are what is waited for here.
  constexpr int places_at_once = 2, slices_at_once = 8;
  const int threads = static_cast<int>(blockDim.x);
  for (int i = static_cast<int>(threadIdx.x); i < rows * per_row; i += places_at_once * threads) {
    TokenSums<width> sums[places_at_once];
    const auto wanted = [&](int at) { return at < rows * per_row && at % per_row * width < p.tokens; };
    for (int slice = 0; slice < p.slices; slice += slices_at_once) {
      TokenSums<width> part_sums[places_at_once][slices_at_once];
#pragma unroll
      for (int j = 0; j < places_at_once; ++j)
#pragma unroll
        for (int s = 0; s < slices_at_once; ++s)
          if (slice + s < p.slices && wanted(i + j * threads))
            part_sums[j][s] =
                TokenSums<width>::from_global(first + (slice + s) * pitch + (i + j * threads) * width);
#pragma unroll
      for (int j = 0; j < places_at_once; ++j)
#pragma unroll
        for (int s = 0; s < slices_at_once; ++s)
          if (slice + s < p.slices) sums[j].add(part_sums[j][s]);
    }
#pragma unroll
    for (int j = 0; j < places_at_once; ++j) {
      const int at = i + j * threads;
      if (wanted(at) && part_rows[at / per_row] >= 0)
        sums[j].to_output(p.epilogue, part_rows[at / per_row], at % per_row * width, p.tokens);
    }
  }
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
