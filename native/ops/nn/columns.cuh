// Sums down the columns of a row-major matrix by one block. Device code.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/strip.cuh"
#include "ops/nn/columns.h"

namespace cfgd {

/// values[k] = their sum over the threads of the block whose index is the same modulo `lanes`, by halving: valid in the
/// first `lanes` threads. Begins with a barrier.
template <class V, int kWidth>
__device__ void sum_over_groups(V (&values)[kWidth], int lanes) {
  __shared__ V partial[kWidth][kColumnThreads];
  const int thread = threadIdx.x;
  __syncthreads();  // an earlier call has read its memory
  for (int half = kColumnThreads / 2; half >= lanes; half /= 2) {  // every step has memory of its own
    if (thread >= half && thread < 2 * half) {
#pragma unroll
      for (int k = 0; k < kWidth; k++) partial[k][thread] = values[k];
    }
    __syncthreads();
    if (thread < half) {
#pragma unroll
      for (int k = 0; k < kWidth; k++) values[k] += partial[k][thread + half];
    }
  }
}

/// sum[k] = Σ over rows top ≤ r < bottom of x[r, column + k], valid in the first `lanes` threads of the block; column =
/// left + kWidth · (thread modulo lanes), and columns past n are 0. Every thread adds up its rows in turn, four loads
/// in flight, then the threads are added in pairs. All threads of the block take part.
template <int kWidth, bool kVector, class T>
__device__ void sum_columns(const T* x, int64_t n, int64_t top, int64_t bottom, int64_t left, int lanes,
                            float (&sum)[kWidth]) {
  constexpr int kUnroll = 4;
  const int64_t column = left + int64_t{kWidth} * (threadIdx.x % lanes), step = kColumnThreads / lanes;
  const int64_t count = n - column;
#pragma unroll
  for (int k = 0; k < kWidth; k++) sum[k] = 0;
  int64_t r = top + threadIdx.x / lanes;
  if (count >= kWidth) {
    for (; r + (kUnroll - 1) * step < bottom; r += kUnroll * step) {
      float rows[kUnroll][kWidth];
#pragma unroll
      for (int u = 0; u < kUnroll; u++) load_strip<kVector>(x + (r + u * step) * n + column, rows[u]);
#pragma unroll
      for (int u = 0; u < kUnroll; u++) {
#pragma unroll
        for (int k = 0; k < kWidth; k++) sum[k] += rows[u][k];
      }
    }
  }
  if (count > 0) {
    for (; r < bottom; r += step) {
      float row[kWidth];
      load_strip<kVector>(x + r * n + column, count, row);
#pragma unroll
      for (int k = 0; k < kWidth; k++) sum[k] += row[k];
    }
  }
  sum_over_groups(sum, lanes);
}

}  // namespace cfgd
