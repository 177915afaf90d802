// L2 normalisation, forward and backward. Device code.
//
// The sum of squares can neither overflow nor underflow in float32: a row is scaled by the power of two that brings its
// largest element near 1. Rows are spread as for the other norms (forward.cuh), and as many bytes move.
#pragma once
#include <cuda_runtime.h>

#include <cfloat>
#include <cstdint>

#include "cuda/fault.cuh"
#include "cuda/row.cuh"
#include "ops/nn/norm/forward.cuh"
#include "ops/nn/norm/norm.h"

namespace cfgd {

/// What elements of a row are multiplied by, in two steps so that neither leaves float32, and 1 / norm.
struct L2Factors {
  float scale, rest, inverse_norm;

  /// From Σ (x · scale)².
  __device__ L2Factors(float scale_, double square) : scale(scale_) {
    const double norm = sqrt(square) / static_cast<double>(scale);
    const bool zero = norm < static_cast<double>(FLT_MIN);
    rest = zero ? 0 : static_cast<float>(1 / sqrt(square));
    inverse_norm = zero ? 0 : static_cast<float>(1 / norm);
  }
  __device__ float operator()(float x) const { return x * scale * rest; }
};

// A warp per row, held in registers; wide rows of at most 1024 elements.
__global__ void __launch_bounds__(kNormThreads) l2_held_rows(L2NormalizeForwardArgs a, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = kPack<float>, kPacks = kNormHeld / kWidth, kGroups = kNormThreads / kWarp;
  const int n = static_cast<int>(a.n), lane = static_cast<int>(threadIdx.x) % kWarp;
  int phase = 0;
  for (int64_t r = int64_t{blockIdx.x} * kGroups + threadIdx.x / kWarp; r < a.rows; r += int64_t{gridDim.x} * kGroups) {
    float x[kPacks][kWidth], largest[1] = {0}, square[1] = {0};
    load_row<kWarp>(a.x + r * a.n, n, lane, x);
#pragma unroll
    for (int p = 0; p < kPacks; p++)
#pragma unroll
      for (int k = 0; k < kWidth; k++) largest[0] = fmaxf(largest[0], fabsf(x[p][k]));
    reduce_group<Maximum, kWarp>(largest, phase);
    const float scale = scale_for(largest[0]);
#pragma unroll
    for (int p = 0; p < kPacks; p++)
#pragma unroll
      for (int k = 0; k < kWidth; k++) square[0] += (x[p][k] * scale) * (x[p][k] * scale);
    reduce_group<Sum, kWarp>(square, phase);
    const L2Factors factors(scale, square[0]);
    if (lane == 0) a.inverse_norm[r] = factors.inverse_norm;
#pragma unroll
    for (int p = 0; p < kPacks; p++) {
      const int i = (p * kWarp + lane) * kWidth;
      if (i >= n) continue;
#pragma unroll
      for (int k = 0; k < kWidth; k++) x[p][k] = factors(x[p][k]);
      store_elements(a.y + r * a.n + i, x[p]);
    }
  }
}

// A block per row, read three times; other rows.
template <int kWidth>
__global__ void __launch_bounds__(kNormThreads) l2_streamed_rows(L2NormalizeForwardArgs a, FaultPort port) {
  if (skipped(port)) return;
  int phase = 0;
  for (int64_t r = blockIdx.x; r < a.rows; r += gridDim.x) {
    const float* x_row = a.x + r * a.n;
    float largest[1] = {0};
    scan_row<kNormThreads, kWidth>(x_row, a.n, [&](int64_t, const float(&x)[kWidth]) {
#pragma unroll
      for (int k = 0; k < kWidth; k++) largest[0] = fmaxf(largest[0], fabsf(x[k]));
    });
    reduce_block<Maximum, kNormThreads>(largest, phase);
    const float scale = scale_for(largest[0]);
    double square[1] = {0};
    scan_row<kNormThreads, kWidth>(x_row, a.n, [&](int64_t, const float(&x)[kWidth]) {
      float part = 0;
#pragma unroll
      for (int k = 0; k < kWidth; k++) part += (x[k] * scale) * (x[k] * scale);
      square[0] += part;
    });
    reduce_block<Sum, kNormThreads>(square, phase);
    const L2Factors factors(scale, square[0]);
    if (threadIdx.x == 0) a.inverse_norm[r] = factors.inverse_norm;
    float* y = a.y + r * a.n;
    scan_row<kNormThreads, kWidth>(x_row, a.n, [&](int64_t i, const float(&x)[kWidth]) {
      float out[kWidth];
#pragma unroll
      for (int k = 0; k < kWidth; k++) out[k] = factors(x[k]);
      store_elements(y + i, out);
    });
  }
}

// As l2_held_rows.
__global__ void __launch_bounds__(kNormThreads) l2_held_rows_backward(L2NormalizeBackwardArgs a, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = kPack<float>, kPacks = kNormHeld / kWidth, kGroups = kNormThreads / kWarp;
  const int n = static_cast<int>(a.n), lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int64_t r = int64_t{blockIdx.x} * kGroups + threadIdx.x / kWarp; r < a.rows; r += int64_t{gridDim.x} * kGroups) {
    float g[kPacks][kWidth], y[kPacks][kWidth], projection = 0;
    load_row<kWarp>(a.grad_y + r * a.n, n, lane, g);
    load_row<kWarp>(a.y + r * a.n, n, lane, y);
    const float inverse = a.inverse_norm[r];
#pragma unroll
    for (int p = 0; p < kPacks; p++)
#pragma unroll
      for (int k = 0; k < kWidth; k++) projection += g[p][k] * y[p][k];
    projection = reduce_warp<Sum>(projection);
#pragma unroll
    for (int p = 0; p < kPacks; p++) {
      const int i = (p * kWarp + lane) * kWidth;
      if (i >= n) continue;
#pragma unroll
      for (int k = 0; k < kWidth; k++) g[p][k] = inverse * (g[p][k] - y[p][k] * projection);
      store_elements(a.grad_x + r * a.n + i, g[p]);
    }
  }
}

// As l2_streamed_rows.
template <int kWidth>
__global__ void __launch_bounds__(kNormThreads) l2_streamed_rows_backward(L2NormalizeBackwardArgs a, FaultPort port) {
  if (skipped(port)) return;
  int phase = 0;
  for (int64_t r = blockIdx.x; r < a.rows; r += gridDim.x) {
    const float *grad_row = a.grad_y + r * a.n, *y_row = a.y + r * a.n;
    const float inverse = a.inverse_norm[r];
    double sum[1] = {0};
    scan_rows<kNormThreads, kWidth>(grad_row, y_row, a.n,
                                    [&](int64_t, const float(&g)[kWidth], const float(&y)[kWidth]) {
                                      float part = 0;
#pragma unroll
                                      for (int k = 0; k < kWidth; k++) part += g[k] * y[k];
                                      sum[0] += part;
                                    });
    reduce_block<Sum, kNormThreads>(sum, phase);
    const auto projection = static_cast<float>(sum[0]);
    float* grad_x = a.grad_x + r * a.n;
    scan_rows<kNormThreads, kWidth>(grad_row, y_row, a.n,
                                    [&](int64_t i, const float(&g)[kWidth], const float(&y)[kWidth]) {
                                      float out[kWidth];
#pragma unroll
                                      for (int k = 0; k < kWidth; k++) out[k] = inverse * (g[k] - y[k] * projection);
                                      store_elements(grad_x + i, out);
                                    });
  }
}

}  // namespace cfgd
