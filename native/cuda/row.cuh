// A row of elements shared by a group of threads, which is a warp or a whole block. Device code.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/pack.cuh"
#include "cuda/reduce.cuh"
#include "cuda/strip.cuh"

namespace cfgd {

/// Reduces over a group of kThreads threads: a warp, of which a block may have several, or the whole block. Every
/// thread gets the result. `phase` as in reduce_block.
template <class Combine, int kThreads, int kValues, class V>
__device__ void reduce_group(V (&values)[kValues], int& phase) {
  if constexpr (kThreads == kWarp) {
#pragma unroll
    for (int i = 0; i < kValues; i++) values[i] = reduce_warp<Combine>(values[i]);
  } else {
    reduce_block<Combine, kThreads>(values, phase);
  }
}

/// A power of two that brings `largest`, at least 0, into [1, 2), or as near as float32 allows. It and its inverse are
/// normal numbers: what is scaled by it can be squared and summed in float32.
__device__ inline float scale_for(float largest) {
  int exponent = static_cast<int>(bits_of(largest) >> 23) - 127;
  exponent = exponent < -126 ? -126 : exponent > 126 ? 126 : exponent;
  return float_of_bits(static_cast<uint32_t>(127 - exponent) << 23);
}

/// Reads kWidth neighbouring elements: one, or a multiple of a pack at an address aligned to 16 bytes.
template <int kWidth, class T>
__device__ void load_elements(const T* from, float (&x)[kWidth]) {
  load_strip<kWidth != 1>(from, x);
}
template <int kWidth, class T>
__device__ void store_elements(T* to, const float (&x)[kWidth]) {
  store_strip<kWidth != 1>(to, x);
}

/// Reads this thread's part of a row of n elements, n a multiple of kWidth, into registers: element k of pack p is
/// element (p · kThreads + thread) · kWidth + k of the row; beyond its end, 0. All reads are under way before the first
/// use.
template <int kThreads, int kPacks, int kWidth, class T>
__device__ void load_row(const T* row, int n, int thread, float (&x)[kPacks][kWidth]) {
#pragma unroll
  for (int p = 0; p < kPacks; p++) {
    const int i = (p * kThreads + thread) * kWidth;
#pragma unroll
    for (int k = 0; k < kWidth; k++) x[p][k] = 0;
    if (i < n) load_elements(row + i, x[p]);
  }
}

/// Calls body(i, x, y) for this thread's share of two rows of n elements, n a multiple of kWidth: kWidth elements each,
/// from i on.
template <int kThreads, int kWidth, class T, class Body>
__device__ void scan_rows(const T* x_row, const T* y_row, int64_t n, const Body& body) {
  constexpr int kBatch = kWidth == 1 ? 4 : 2;
  constexpr int64_t kStride = int64_t{kThreads} * kWidth;
  for (int64_t first = int64_t{threadIdx.x} * kWidth; first < n; first += kBatch * kStride) {
    float x[kBatch][kWidth], y[kBatch][kWidth];
#pragma unroll
    for (int b = 0; b < kBatch; b++) {
      const int64_t i = first + b * kStride;
      if (i >= n) continue;
      load_elements(x_row + i, x[b]);
      load_elements(y_row + i, y[b]);
    }
#pragma unroll
    for (int b = 0; b < kBatch; b++)
      if (first + b * kStride < n) body(first + b * kStride, x[b], y[b]);
  }
}

/// As scan_rows, for one row: body(i, x).
template <int kThreads, int kWidth, class T, class Body>
__device__ void scan_row(const T* row, int64_t n, const Body& body) {
  constexpr int kBatch = kWidth == 8 ? 2 : 4;
  constexpr int64_t kStride = int64_t{kThreads} * kWidth;
  for (int64_t first = int64_t{threadIdx.x} * kWidth; first < n; first += kBatch * kStride) {
    float x[kBatch][kWidth];
#pragma unroll
    for (int b = 0; b < kBatch; b++)
      if (first + b * kStride < n) load_elements(row + first + b * kStride, x[b]);
#pragma unroll
    for (int b = 0; b < kBatch; b++)
      if (first + b * kStride < n) body(first + b * kStride, x[b]);
  }
}

}  // namespace cfgd
