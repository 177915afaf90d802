// Tiles of rows in shared memory, in float32, and products of two of them by a block of 128 threads. Device code.
//
// The threads stand 16 down and 8 across. A thread owns kRows / 16 neighbouring rows of a product; of scores the columns
// across, across + 8, …, of sums over head_dim the four columns from 4 · across on, and again every 32. So each 16 bytes
// from shared memory feed 8 to 16 multiply-adds, rows of D + 4 numbers keep eight rows apart in the banks, and what a row
// needs stays within one warp.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/reduce.cuh"
#include "tensor/element.h"

namespace cfgd {

constexpr int kTileThreads = 128, kAcross = 8, kDown = kTileThreads / kAcross;

__device__ inline int across() { return static_cast<int>(threadIdx.x) % kAcross; }
__device__ inline int down() { return static_cast<int>(threadIdx.x) / kAcross; }

/// Numbers from one row of a tile to the next.
template <int D>
constexpr int kLine = D + 4;

struct alignas(8) HalfQuad {
  bf16 x[4];
};

__device__ inline void load_quad(const float* from, float (&x)[4]) {
  const float4 v = *reinterpret_cast<const float4*>(from);
  x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
}
__device__ inline void load_quad(const bf16* from, float (&x)[4]) {
  const HalfQuad v = *reinterpret_cast<const HalfQuad*>(from);
#pragma unroll
  for (int i = 0; i < 4; i++) x[i] = widened(v.x[i]);
}
__device__ inline void store_quad(float* to, const float (&x)[4]) {
  *reinterpret_cast<float4*>(to) = {x[0], x[1], x[2], x[3]};
}
__device__ inline void store_quad(bf16* to, const float (&x)[4]) {
  HalfQuad v;
#pragma unroll
  for (int i = 0; i < 4; i++) v.x[i] = narrowed<bf16>(x[i]);
  *reinterpret_cast<HalfQuad*>(to) = v;
}

/// Rows of n numbers, a step apart, of a tensor; `wide` when every fourth of their elements is aligned to four.
template <class T>
struct Rows {
  T* data;
  int64_t step;
  int n;
  bool wide;

  __device__ T* at(int row) const { return data + row * step; }
};

/// Rows first … first + kRows − 1 into a tile, zeros for those outside [low, high) and from n to D.
template <int kRows, int D, class T>
__device__ void load_tile(const Rows<const T>& from, int first, int low, int high, float* tile) {
  constexpr int kQuads = D / 4, kCount = kRows * kQuads / kTileThreads;
  static_assert(kRows * kQuads % kTileThreads == 0);
#pragma unroll(kCount < 8 ? kCount : 8)
  for (int k = 0; k < kCount; k++) {
    const int i = static_cast<int>(threadIdx.x) + k * kTileThreads, row = i / kQuads, d = i % kQuads * 4;
    float x[4] = {0, 0, 0, 0};
    if (first + row >= low && first + row < high && d < from.n) {
      const T* p = from.at(first + row) + d;
      if (from.wide) {
        load_quad(p, x);
      } else {
#pragma unroll
        for (int e = 0; e < 4; e++)
          if (d + e < from.n) x[e] = widened(p[e]);
      }
    }
    store_quad(tile + row * kLine<D> + d, x);
  }
}

/// The thread's rows of a product, times a factor, into the rows from `first` on that are below `high`.
template <int kOwn, int D, class T>
__device__ void store_rows(const float (&sums)[kOwn][D / 32][4], const float (&factor)[kOwn], const Rows<T>& to, int first,
                           int high) {
#pragma unroll
  for (int i = 0; i < kOwn; i++) {
    const int row = first + down() * kOwn + i;
    if (row >= high) continue;
#pragma unroll
    for (int c = 0; c < D / 32; c++) {
      const int d = 4 * across() + 32 * c;
      if (d >= to.n) continue;
      float x[4];
#pragma unroll
      for (int e = 0; e < 4; e++) x[e] = sums[i][c][e] * factor[i];
      if (to.wide) {
        store_quad(to.at(row) + d, x);
      } else {
#pragma unroll
        for (int e = 0; e < 4; e++)
          if (d + e < to.n) to.at(row)[d + e] = narrowed<T>(x[e]);
      }
    }
  }
}

/// products[i][j] = Σ_d a[row i][d] · b[column j][d] for the thread's rows of a and columns, which are rows of b.
template <int D, int kOwn, int kOther>
__device__ void multiply_rows(const float* a, const float* b, float (&products)[kOwn][kOther]) {
#pragma unroll
  for (int i = 0; i < kOwn; i++)
#pragma unroll
    for (int j = 0; j < kOther; j++) products[i][j] = 0;
#pragma unroll 2
  for (int d = 0; d < D; d += 4) {
    float x[kOwn][4], y[kOther][4];
#pragma unroll
    for (int i = 0; i < kOwn; i++) load_quad(a + (down() * kOwn + i) * kLine<D> + d, x[i]);
#pragma unroll
    for (int j = 0; j < kOther; j++) load_quad(b + (across() + kAcross * j) * kLine<D> + d, y[j]);
#pragma unroll
    for (int e = 0; e < 4; e++)
#pragma unroll
      for (int i = 0; i < kOwn; i++)
#pragma unroll
        for (int j = 0; j < kOther; j++) products[i][j] = fmaf(x[i][e], y[j][e], products[i][j]);
  }
}

/// sums[i] += Σ_j weights[row i][j] · b[j], over the kColumns rows of b.
template <int D, int kColumns, int kOwn>
__device__ void add_mixed(const float* weights, const float* b, float (&sums)[kOwn][D / 32][4]) {
#pragma unroll 2
  for (int j = 0; j < kColumns; j += 4) {
    float w[kOwn][4];
#pragma unroll
    for (int i = 0; i < kOwn; i++) load_quad(weights + (down() * kOwn + i) * kLine<kColumns> + j, w[i]);
#pragma unroll
    for (int k = 0; k < 4; k++)
#pragma unroll
      for (int c = 0; c < D / 32; c++) {
        float y[4];
        load_quad(b + (j + k) * kLine<D> + 4 * across() + 32 * c, y);
#pragma unroll
        for (int i = 0; i < kOwn; i++)
#pragma unroll
          for (int e = 0; e < 4; e++) sums[i][c][e] = fmaf(w[i][k], y[e], sums[i][c][e]);
      }
  }
}

/// Over the threads across, which hold one row; all of them get the result.
template <class Combine>
__device__ float reduce_across(float value) {
#pragma unroll
  for (int distance = kAcross / 2; distance; distance >>= 1)
    value = Combine::of(value, __shfl_xor_sync(0xffffffffu, value, distance));
  return value;
}

}  // namespace cfgd
