// Tiles of bfloat16 rows in shared memory, and products of two of them on tensor cores. Device code.
//
// 128 threads are four warps, one below the other; each owns kM · 16 rows of a product, in the layout of c of
// cuda/mma.cuh: with group = lane / 4 and pair = 2 · (lane % 4), rows group and group + 8, columns pair and pair + 1. Rows of D + 8 elements put eight of them into different banks, as ldmatrix wants them.
#pragma once
#include <cuda_runtime.h>

#include "cuda/async_copy.cuh"
#include "cuda/mma.cuh"
#include "cuda/pack.cuh"
#include "ops/nn/attention/tile.cuh"

namespace cfgd {

template <int D>
constexpr int kHalfLine = D + 8;

__device__ inline int lane_of_warp() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ inline int warp_of_block() { return static_cast<int>(threadIdx.x) / kWarp; }

/// Waits for the thread's loads of tiles.
__device__ inline void await_loads() {
  commit_copies();
  wait_copies<0>();
}

/// Rows first … first + kRows − 1 into a tile, zeros for those outside [low, high) and from n to D; there after
/// await_loads() and a barrier. `wide` says that every eighth element is aligned to 16 bytes.
template <int kRows, int D>
__device__ void load_halves(const Rows<const bf16>& from, int first, int low, int high, bf16* tile) {
  constexpr int kPacks = D / 8;
  static_assert(kRows * kPacks % kTileThreads == 0);
#pragma unroll
  for (int k = 0; k < kRows * kPacks / kTileThreads; k++) {
    const int i = static_cast<int>(threadIdx.x) + k * kTileThreads, row = i / kPacks, d = i % kPacks * 8;
    const bool there = first + row >= low && first + row < high && d < from.n;
    bf16* to = tile + row * kHalfLine<D> + d;
    if (from.wide) {
      start_copy16(to, there ? from.at(first + row) + d : from.data, there);
    } else {
      for (int e = 0; e < 8; e++) to[e] = there && d + e < from.n ? from.at(first + row)[d + e] : bf16{0};
    }
  }
}

/// products = a · bᵀ for the warp's rows of the tile a and the 8 · kTiles rows of the tile b.
template <int D, int kM, int kTiles>
__device__ void multiply_halves(const bf16* a, const bf16* b, float (&products)[kM][kTiles][4]) {
  const int lane = lane_of_warp();
  const bf16* a_row = a + (warp_of_block() * kM * 16 + lane % 16) * kHalfLine<D> + lane / 16 * 8;
  const bf16* b_row = b + (lane / 16 * 8 + lane % 8) * kHalfLine<D> + lane / 8 % 2 * 8;
#pragma unroll
  for (int m = 0; m < kM; m++)
#pragma unroll
    for (int t = 0; t < kTiles; t++)
#pragma unroll
      for (int e = 0; e < 4; e++) products[m][t][e] = 0;
#pragma unroll(D <= 64 ? D / 16 : 2)  // registers
  for (int d = 0; d < D; d += 16) {
    uint32_t x[kM][4];
#pragma unroll
    for (int m = 0; m < kM; m++) ldmatrix_x4(x[m], a_row + m * 16 * kHalfLine<D> + d);
#pragma unroll
    for (int t = 0; t < kTiles; t += 2) {
      uint32_t y[4];
      ldmatrix_x4(y, b_row + t * 8 * kHalfLine<D> + d);
      const uint32_t left[2] = {y[0], y[1]}, right[2] = {y[2], y[3]};
#pragma unroll
      for (int m = 0; m < kM; m++) {
        mma_m16n8k16(products[m][t], x[m], left);
        mma_m16n8k16(products[m][t + 1], x[m], right);
      }
    }
  }
}

/// sums += weights · b over the 8 · kTiles rows of the tile b, the weights rounded to bfloat16.
template <int D, int kM, int kTiles>
__device__ void add_mixed_halves(const float (&weights)[kM][kTiles][4], const bf16* b, float (&sums)[kM][D / 8][4]) {
  const int lane = lane_of_warp();
  const bf16* b_row = b + lane % 16 * kHalfLine<D> + lane / 16 * 8;
#pragma unroll
  for (int t = 0; t < kTiles; t += 2) {
    uint32_t x[kM][4];
#pragma unroll
    for (int m = 0; m < kM; m++)
#pragma unroll
      for (int i = 0; i < 4; i++)  // c of two products side by side is a of the next
        x[m][i] = packed_bf16(weights[m][t + i / 2][i % 2 * 2], weights[m][t + i / 2][i % 2 * 2 + 1]);
#pragma unroll
    for (int c = 0; c < D / 8; c += 2) {
      uint32_t y[4];
      ldmatrix_x4_transposed(y, b_row + t * 8 * kHalfLine<D> + c * 8);
      const uint32_t left[2] = {y[0], y[1]}, right[2] = {y[2], y[3]};
#pragma unroll
      for (int m = 0; m < kM; m++) {
        mma_m16n8k16(sums[m][c], x[m], left);
        mma_m16n8k16(sums[m][c + 1], x[m], right);
      }
    }
  }
}

/// The warp's rows of a product, times factors (one for row group, one for row group + 8, of each of kM), into the rows
/// from `first` on that are below `high`, by way of a tile of which no other warp reads these rows.
template <int D, int kM>
__device__ void store_halves(const float (&sums)[kM][D / 8][4], const float (&factor)[kM][2], const Rows<bf16>& to,
                             int first, int high, bf16* tile) {
  const int lane = lane_of_warp(), base = warp_of_block() * kM * 16;
  __syncwarp();
#pragma unroll
  for (int m = 0; m < kM; m++)
#pragma unroll
    for (int half = 0; half < 2; half++)
#pragma unroll
      for (int c = 0; c < D / 8; c++) {
        bf16* at = tile + (base + m * 16 + half * 8 + lane / 4) * kHalfLine<D> + c * 8 + lane % 4 * 2;
        *reinterpret_cast<uint32_t*>(at) =
            packed_bf16(sums[m][c][half * 2] * factor[m][half], sums[m][c][half * 2 + 1] * factor[m][half]);
      }
  __syncwarp();
  constexpr int kPacks = D / 8;
  for (int i = lane; i < kM * 16 * kPacks; i += kWarp) {
    const int row = base + i / kPacks, d = i % kPacks * 8;
    if (first + row >= high || d >= to.n) continue;
    const bf16* from = tile + row * kHalfLine<D> + d;
    bf16* at = to.at(first + row) + d;
    if (to.wide)
      *reinterpret_cast<uint4*>(at) = *reinterpret_cast<const uint4*>(from);
    else
      for (int e = 0; e < 8 && d + e < to.n; e++) at[e] = from[e];
  }
}

/// Over the four lanes that hold one row; all of them get the result.
template <class Combine>
__device__ float reduce_quad(float value) {
  value = Combine::of(value, __shfl_xor_sync(0xffffffffu, value, 1));
  return Combine::of(value, __shfl_xor_sync(0xffffffffu, value, 2));
}

}  // namespace cfgd
