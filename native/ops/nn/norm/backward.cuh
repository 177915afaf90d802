// Layer and RMS normalisation backward. Device code.
//
// A row of x and one of grad_y are read once, one of grad_x is written: 3 · n elements, the least possible. The
// gradients of gain and bias are summed in registers over a chunk of rows (norm_chunk_rows), one block's work; each
// chunk leaves one row of sums in the workspace, and a second kernel adds those up in the order of the chunks. That
// moves some 2 % more bytes for [8192, 768] and needs no atomics.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/fault.cuh"
#include "cuda/row.cuh"
#include "ops/nn/norm/forward.cuh"
#include "ops/nn/norm/norm.h"

namespace cfgd {

/// RMS normalisation on the arguments of layer normalisation: no bias, no mean.
template <class T>
LayerNormBackward<T> as_layer_norm(const RmsNormBackward<T>& a) {
  return {a.grad_y, a.x,    a.gain, nullptr,    a.inverse_rms, a.grad_x, a.grad_gain, nullptr,
          a.rows,   a.n, a.workspace};
}

/// Threads of a block whose groups hold rows in registers. Few for warps, each of which needs many registers.
template <int kThreads>
constexpr int kNormBackwardThreads = kThreads == kWarp ? 128 : kThreads;

// As norm_held_rows, a block per chunk of rows.
template <class T, bool kCentred, int kThreads>
__global__ void __launch_bounds__(kNormBackwardThreads<kThreads>)
    norm_held_rows_backward(LayerNormBackward<T> a, int64_t chunk_rows, FaultPort port) {
  constexpr int kWidth = kPack<T>, kPacks = kNormHeld / kWidth, kGroups = kNormBackwardThreads<kThreads> / kThreads;
  __shared__ float merged[kGroups == 1 ? 1 : kThreads * kNormHeld];
  if (skipped(port)) return;
  const int n = static_cast<int>(a.n), thread = static_cast<int>(threadIdx.x) % kThreads,
            group = static_cast<int>(threadIdx.x) / kThreads;
  const int64_t begin = int64_t{blockIdx.x} * chunk_rows, past = begin + chunk_rows;
  const int64_t end = past < a.rows ? past : a.rows;
  constexpr int kSums = kCentred ? 2 : 1;  // of the gain, of the bias
  float sums[kSums][kPacks][kWidth] = {};
  int phase = 0;
  for (int64_t r = begin + group; r < end; r += kGroups) {
    float x[kPacks][kWidth], g[kPacks][kWidth];
    load_row<kThreads>(a.grad_y + r * a.n, n, thread, g);
    load_row<kThreads>(a.x + r * a.n, n, thread, x);
    const float inverse = a.inverse_std[r], mean = kCentred ? a.mean[r] : 0;
    float row_sums[2] = {0, 0};  // g · x̂, g
#pragma unroll
    for (int p = 0; p < kPacks; p++) {
      const int i = (p * kThreads + thread) * kWidth;
      if (i >= n) continue;
      float gain[kWidth];
      load_elements(a.gain + i, gain);
#pragma unroll
      for (int k = 0; k < kWidth; k++) {
        x[p][k] = (x[p][k] - mean) * inverse;
        sums[0][p][k] += g[p][k] * x[p][k];
        if constexpr (kCentred) sums[1][p][k] += g[p][k];
        g[p][k] *= gain[k];
        row_sums[0] += g[p][k] * x[p][k];
        row_sums[1] += g[p][k];
      }
    }
    reduce_group<Sum, kThreads>(row_sums, phase);
    const float projection = row_sums[0] / static_cast<float>(n),
                g_mean = kCentred ? row_sums[1] / static_cast<float>(n) : 0;
    T* grad_x = a.grad_x + r * a.n;
#pragma unroll
    for (int p = 0; p < kPacks; p++) {
      const int i = (p * kThreads + thread) * kWidth;
      if (i >= n) continue;
#pragma unroll
      for (int k = 0; k < kWidth; k++) x[p][k] = inverse * (g[p][k] - g_mean - x[p][k] * projection);
      store_elements(grad_x + i, x[p]);
    }
  }

  float* chunk_sums = a.workspace + int64_t{blockIdx.x} * kSums * a.n;
#pragma unroll
  for (int s = 0; s < kSums; s++) {
    for (int turn = 0; turn < kGroups; turn++) {
      if (group == turn) {
        float* to = kGroups == 1 ? chunk_sums + s * a.n : merged;
#pragma unroll
        for (int p = 0; p < kPacks; p++) {
          const int i = (p * kThreads + thread) * kWidth;
          if (i >= n) continue;
#pragma unroll
          for (int k = 0; k < kWidth; k++) to[i + k] = turn ? to[i + k] + sums[s][p][k] : sums[s][p][k];
        }
      }
      if (kGroups > 1) __syncthreads();
    }
    if (kGroups > 1) {
      for (int i = static_cast<int>(threadIdx.x); i < n; i += kNormBackwardThreads<kThreads>)
        chunk_sums[s * a.n + i] = merged[i];
      __syncthreads();
    }
  }
}

// As norm_streamed_rows, a block per chunk of rows. The chunk's sums lie in the workspace all the time: each thread
// adds to elements of its own, which stay in the caches.
template <class T, bool kCentred, int kWidth>
__global__ void __launch_bounds__(kNormThreads)
    norm_streamed_rows_backward(LayerNormBackward<T> a, int64_t chunk_rows, FaultPort port) {
  if (skipped(port)) return;
  const int64_t begin = int64_t{blockIdx.x} * chunk_rows, past = begin + chunk_rows;
  const int64_t end = past < a.rows ? past : a.rows;
  float* gain_sums = a.workspace + int64_t{blockIdx.x} * (kCentred ? 2 : 1) * a.n;
  float* bias_sums = kCentred ? gain_sums + a.n : nullptr;
  const auto n = static_cast<float>(a.n);
  int phase = 0;
  for (int64_t r = begin; r < end; r++) {
    const T *grad_row = a.grad_y + r * a.n, *x_row = a.x + r * a.n;
    const float inverse = a.inverse_std[r], mean = kCentred ? a.mean[r] : 0;
    double row_sums[2] = {0, 0};  // g · x̂, g
    scan_rows<kNormThreads, kWidth>(
        grad_row, x_row, a.n, [&](int64_t i, const float(&out)[kWidth], const float(&x)[kWidth]) {
          float gain[kWidth], along = 0, all = 0;
          load_elements(a.gain + i, gain);
#pragma unroll
          for (int k = 0; k < kWidth; k++) {
            const float g = out[k] * gain[k];
            along += g * ((x[k] - mean) * inverse);
            all += g;
          }
          row_sums[0] += along;
          row_sums[1] += all;
        });
    reduce_block<Sum, kNormThreads>(row_sums, phase);
    const float projection = static_cast<float>(row_sums[0]) / n,
                g_mean = kCentred ? static_cast<float>(row_sums[1]) / n : 0;
    T* grad_x = a.grad_x + r * a.n;
    scan_rows<kNormThreads, kWidth>(
        grad_row, x_row, a.n, [&](int64_t i, const float(&out)[kWidth], const float(&x)[kWidth]) {
          float gain[kWidth], result[kWidth];
          load_elements(a.gain + i, gain);
#pragma unroll
          for (int k = 0; k < kWidth; k++) {
            const float unit = (x[k] - mean) * inverse;
            result[k] = inverse * (out[k] * gain[k] - g_mean - unit * projection);
            gain_sums[i + k] = (r == begin ? 0 : gain_sums[i + k]) + out[k] * unit;
            if (kCentred) bias_sums[i + k] = (r == begin ? 0 : bias_sums[i + k]) + out[k];
          }
          store_elements(grad_x + i, result);
        });
  }
}

constexpr int kNormColumns = 32, kNormColumnWarps = 16;

// to[j] = Σ over chunks of their sums of column j. A block per 32 columns: each warp adds up every 16th chunk, in
// double, and the first one the warps' sums.
__global__ void __launch_bounds__(kNormColumns* kNormColumnWarps)
    norm_sum_chunks(const float* workspace, int64_t chunks, int64_t n, float* grad_gain, float* grad_bias, int sums,
                    FaultPort port) {
  __shared__ double partial[kNormColumnWarps][kNormColumns];
  if (skipped(port)) return;
  float* to = blockIdx.y ? grad_bias : grad_gain;
  if (!to) return;
  const int lane = static_cast<int>(threadIdx.x) % kNormColumns, warp = static_cast<int>(threadIdx.x) / kNormColumns;
  const int64_t column = int64_t{blockIdx.x} * kNormColumns + lane;
  double sum = 0;
  if (column < n) {
    const float* from = workspace + blockIdx.y * n + column;
#pragma unroll 4
    for (int64_t c = warp; c < chunks; c += kNormColumnWarps) sum += from[c * sums * n];
  }
  partial[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || column >= n) return;
  for (int w = 1; w < kNormColumnWarps; w++) sum += partial[w][lane];
  to[column] = static_cast<float>(sum);
}

}  // namespace cfgd
