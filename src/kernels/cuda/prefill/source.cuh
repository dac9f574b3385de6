// What the prefill product asks of a weight format. A *panel* is 64 rows of W, what a warp group multiplies;
// a *block* of it `block_cols` columns, in one place of a ring in shared memory, filled by bulk copies. A
// source is a class of static functions and two small ones:
//
//   struct Source {
//     struct Params;                    // by value in the kernel's parameters
//     static constexpr int block_cols;  // of a block: a multiple of 64
//     static constexpr int step_cols;   // of one instruction: 16
//     static constexpr int batch;       // steps whose operands are made, then multiplied, together
//     static constexpr int buffers;     // batches of operands: one is made while the others are read
//     static constexpr int copies;      // that fill a place, at most 8; lanes of the producer make one each
//
//     // The row tile that is worked on as the i-th (of a token tile): long ones first where they differ.
//     static __device__ int row_tile(const Params&, int i);
//     // The blocks of row tile `tile` (Tile::groups panels): how many, and the first column of W of the
//     i-th. static __device__ int blocks(const Params&, int tile); static __device__ int column(const
//     Params&, int tile, int i);
//
//     // Producer: copy `copy` of the blocks [first, …) of a panel, one after the other.
//     struct Feed {
//       __device__ Feed(const Params&, std::int64_t panel, int copy, int first, int last);
//       __device__ void next(const std::byte*& from, std::uint32_t& bytes, std::uint32_t& offset);
//     };
//
//     // Consumer: a lane's view of the block at shared address `place`. step<s>() leaves its A operand of
//     // step s; steps are asked for in order, each once. Nothing of the place is read after the last step.
//     struct Block {
//       __device__ Block(const Params&, std::uint32_t place, int warp, int lane);  // warp of the group, 0 …
//       3 template <int s> __device__ void step(const Params&, Operand&);
//     };
//     struct Operand;                   // registers of an A operand, with hold(): they stay up to there
//     // sums += Operand · B, B at the descriptor (128-byte swizzle)
//     template <class T, int eights>
//     static __device__ void multiply(float (&sums)[eights][4], const Operand&, std::uint64_t descriptor);
//
//     // One output in the plainest way, kept weights only: used where a sum came out NaN, because Inf or NaN
//     // in X times the zero of a pruned weight is NaN.
//     template <class T>
//     static __device__ float exact(const Params&, std::int64_t row, const T* x, std::int64_t cols);
//   };
//
// Params has `place_bytes` (of a panel's block, a multiple of 128) and `panels`.
#pragma once

#include "kernels/cuda/prefill/wgmma_wide.cuh"

namespace cross::kernels::cuda {

/// A operand of a dense step: 16 columns of the warp's 16 rows.
struct DenseOperand {
  std::uint32_t a[4];
  __device__ __forceinline__ void hold() { hold_registers(a); }
};

}  // namespace cross::kernels::cuda
