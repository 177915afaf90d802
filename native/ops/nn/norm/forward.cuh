// Layer and RMS normalisation forward. Device code.
//
// A row is read once and written once: 2 · n elements, the least possible. Gains and biases are shared by all rows and
// come from the caches.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/fault.cuh"
#include "cuda/row.cuh"
#include "ops/nn/norm/norm.h"

namespace cfgd {

constexpr int kNormThreads = 256;
constexpr int kNormHeld = 32;  // elements of a row that a thread keeps in registers

/// RMS normalisation on the arguments of layer normalisation: no bias, no mean.
template <class T>
LayerNormForward<T> as_layer_norm(const RmsNormForward<T>& a) {
  return {a.x, a.gain, nullptr, a.epsilon, a.y, nullptr, a.inverse_rms, a.rows, a.n};
}

// A group of threads (a warp up to n = 1024, so that no barrier is needed, the block up to 8192) holds a row in
// registers. Wide: pointers aligned to 16 bytes, n a multiple of a pack.
template <class T, bool kCentred, int kThreads>
__global__ void __launch_bounds__(kNormThreads) norm_held_rows(LayerNormForward<T> a, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = kPack<T>, kPacks = kNormHeld / kWidth, kGroups = kNormThreads / kThreads;
  const int n = static_cast<int>(a.n), thread = static_cast<int>(threadIdx.x) % kThreads;
  int phase = 0;
  for (int64_t r = int64_t{blockIdx.x} * kGroups + threadIdx.x / kThreads; r < a.rows;
       r += int64_t{gridDim.x} * kGroups) {
    float x[kPacks][kWidth];
    load_row<kThreads>(a.x + r * a.n, n, thread, x);
    float mean = 0;
    if constexpr (kCentred) {
      // Relative to the first element, so that rows far from zero keep their digits.
      const float origin = widened(a.x[r * a.n]);
      float sum[1] = {0};
#pragma unroll
      for (int p = 0; p < kPacks; p++) {
        const bool inside = (p * kThreads + thread) * kWidth < n;
        float part = 0;
#pragma unroll
        for (int k = 0; k < kWidth; k++) part += x[p][k] - origin;
        sum[0] += inside ? part : 0;
      }
      reduce_group<Sum, kThreads>(sum, phase);
      mean = origin + sum[0] / static_cast<float>(n);
    }
    float square[1] = {0};
#pragma unroll
    for (int p = 0; p < kPacks; p++) {
      const bool inside = (p * kThreads + thread) * kWidth < n;
      float part = 0;
#pragma unroll
      for (int k = 0; k < kWidth; k++) {
        x[p][k] -= mean;
        part += x[p][k] * x[p][k];
      }
      square[0] += inside ? part : 0;
    }
    reduce_group<Sum, kThreads>(square, phase);
    const float inverse = 1 / sqrtf(square[0] / static_cast<float>(n) + a.epsilon);
    if (thread == 0) {
      if constexpr (kCentred) a.mean[r] = mean;
      a.inverse_std[r] = inverse;
    }
    T* y = a.y + r * a.n;
#pragma unroll
    for (int p = 0; p < kPacks; p++) {
      const int i = (p * kThreads + thread) * kWidth;
      if (i >= n) continue;
      float gain[kWidth], bias[kWidth] = {};
      load_elements(a.gain + i, gain);
      if (a.bias) load_elements(a.bias + i, bias);
#pragma unroll
      for (int k = 0; k < kWidth; k++) x[p][k] = x[p][k] * inverse * gain[k] + bias[k];
      store_elements(y + i, x[p]);
    }
  }
}

// A block per row, which it reads once for each sum and once for the result: rows too long for registers, whose later
// reads the L2 cache serves, and rows that are not wide (kWidth 1).
template <class T, bool kCentred, int kWidth>
__global__ void __launch_bounds__(kNormThreads) norm_streamed_rows(LayerNormForward<T> a, FaultPort port) {
  if (skipped(port)) return;
  const auto n = static_cast<float>(a.n);
  int phase = 0;
  for (int64_t r = blockIdx.x; r < a.rows; r += gridDim.x) {
    const T* x_row = a.x + r * a.n;
    float mean = 0;
    if constexpr (kCentred) {
      const float origin = widened(x_row[0]);
      double sum[1] = {0};
      scan_row<kNormThreads, kWidth>(x_row, a.n, [&](int64_t, const float(&x)[kWidth]) {
        float part = 0;
#pragma unroll
        for (int k = 0; k < kWidth; k++) part += x[k] - origin;
        sum[0] += part;
      });
      reduce_block<Sum, kNormThreads>(sum, phase);
      mean = origin + static_cast<float>(sum[0]) / n;
    }
    double square[1] = {0};
    scan_row<kNormThreads, kWidth>(x_row, a.n, [&](int64_t, const float(&x)[kWidth]) {
      float part = 0;
#pragma unroll
      for (int k = 0; k < kWidth; k++) part += (x[k] - mean) * (x[k] - mean);
      square[0] += part;
    });
    reduce_block<Sum, kNormThreads>(square, phase);
    const float inverse = 1 / sqrtf(static_cast<float>(square[0]) / n + a.epsilon);
    if (threadIdx.x == 0) {
      if constexpr (kCentred) a.mean[r] = mean;
      a.inverse_std[r] = inverse;
    }
    T* y = a.y + r * a.n;
    scan_row<kNormThreads, kWidth>(x_row, a.n, [&](int64_t i, const float(&x)[kWidth]) {
      float gain[kWidth], bias[kWidth] = {}, out[kWidth];
      load_elements(a.gain + i, gain);
      if (a.bias) load_elements(a.bias + i, bias);
#pragma unroll
      for (int k = 0; k < kWidth; k++) out[k] = (x[k] - mean) * inverse * gain[k] + bias[k];
      store_elements(y + i, out);
    });
  }
}

}  // namespace cfgd
