// Sums over rows and over everything: chunks with borders that only the size decides, then one kernel that adds up the
// chunks in double. Device code and its launch.
#pragma once
#include "cuda/fault.cuh"
#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "ops/nn/columns.cuh"
#include "ops/nn/elementwise/elementwise.h"
#include "ops/nn/elementwise/workspace.h"

namespace cfgd {

// One block per chunk of rows and tile of columns. x is read once; the chunks' sums add at most a sixteenth to that for
// the sizes of layers.
template <class T, bool kVector>
__global__ void __launch_bounds__(kColumnThreads) sum_row_chunks(SumRows<T> a, RowChunks c, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = kPack<T>;
  float* sums = c.count > 1 ? a.partials : a.out;
  for (int64_t task = blockIdx.x; task < c.count * c.tiles.count; task += gridDim.x) {
    const int64_t chunk = task / c.tiles.count, left = task % c.tiles.count * c.tiles.lanes * kWidth;
    const int64_t top = chunk * c.rows, bottom = top + c.rows < a.rows ? top + c.rows : a.rows;
    float sum[kWidth];
    sum_columns<kWidth, kVector>(a.x, a.n, top, bottom, left, c.tiles.lanes, sum);
    if (static_cast<int>(threadIdx.x) < c.tiles.lanes) {
      const int64_t column = left + int64_t{kWidth} * threadIdx.x;
#pragma unroll
      for (int k = 0; k < kWidth; k++)
        if (column + k < a.n) sums[chunk * a.n + column + k] = sum[k];
    }
  }
}

// One block per `lanes` columns: its threads take chunks in turn, then are added in pairs.
static __global__ void __launch_bounds__(kColumnThreads)
    add_row_chunks(const float* partials, int64_t chunks, float* out, int64_t n, int lanes, FaultPort port) {
  if (skipped(port)) return;
  for (int64_t left = int64_t{blockIdx.x} * lanes; left < n; left += int64_t{gridDim.x} * lanes) {
    const int64_t column = left + threadIdx.x % lanes;
    double sum[1] = {0};
    if (column < n) {
#pragma unroll 4
      for (int64_t c = threadIdx.x / lanes; c < chunks; c += kColumnThreads / lanes) sum[0] += partials[c * n + column];
    }
    sum_over_groups(sum, lanes);
    if (static_cast<int>(threadIdx.x) < lanes && column < n) out[column] = static_cast<float>(sum[0]);
  }
}

template <class T>
int32_t sum_rows(const LaunchContext& context, const SumRows<T>& a, cfgd_status*) {
  if (a.n == 0) return CFGD_OK;
  const RowChunks c = row_chunks(a.rows, a.n, sum_rows_width(sizeof(T)));
  if (c.count > 0) {
    const auto kernel = a.n % kPack<T> == 0 && all_aligned16({a.x}) ? sum_row_chunks<T, true> : sum_row_chunks<T, false>;
    CFGD_LAUNCH(kernel, grid_of(c.count * c.tiles.count), dim3(kColumnThreads), 0, context.stream, a, c, context.fault);
  }
  if (c.count == 1) return CFGD_OK;
  const ColumnTiles tiles = column_tiles(a.n, 1);
  CFGD_LAUNCH(add_row_chunks, grid_of(tiles.count), dim3(kColumnThreads), 0, context.stream, a.partials, c.count, a.out,
              a.n, tiles.lanes, context.fault);
  return CFGD_OK;
}

// A block adds up tiles of kSumAllTile elements, a thread 64 of them in float. x is read once.
template <bool kVector>
__global__ void __launch_bounds__(kStripThreads) sum_all_tiles(SumAllArgs a, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = 4, kUnroll = 4, kStep = kWidth * kStripThreads;
  double total[1] = {0};
  for (int64_t tile = blockIdx.x * kSumAllTile; tile < a.n; tile += gridDim.x * kSumAllTile) {
    float sum[kWidth] = {};
    for (int64_t batch = tile; batch < tile + kSumAllTile && batch < a.n; batch += kUnroll * kStep) {
      const int64_t first = batch + int64_t{kWidth} * threadIdx.x;
      float x[kUnroll][kWidth];
      if (batch + kUnroll * kStep <= a.n) {
#pragma unroll
        for (int u = 0; u < kUnroll; u++) load_strip<kVector>(a.x + first + u * kStep, x[u]);
      } else {
#pragma unroll
        for (int u = 0; u < kUnroll; u++) load_strip<kVector>(a.x + first + u * kStep, a.n - first - u * kStep, x[u]);
      }
#pragma unroll
      for (int u = 0; u < kUnroll; u++) {
#pragma unroll
        for (int k = 0; k < kWidth; k++) sum[k] += x[u][k];
      }
    }
    total[0] += (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }
  int phase = 0;
  reduce_block<Sum, kStripThreads>(total, phase);
  if (threadIdx.x != 0) return;
  if (gridDim.x > 1)
    a.partials[blockIdx.x] = total[0];
  else
    a.out[0] = static_cast<float>(total[0]);
}

static __global__ void __launch_bounds__(kStripThreads)
    add_all_chunks(const double* partials, int chunks, float* out, FaultPort port) {
  if (skipped(port)) return;
  double total[1] = {0};
  for (int c = threadIdx.x; c < chunks; c += kStripThreads) total[0] += partials[c];
  int phase = 0;
  reduce_block<Sum, kStripThreads>(total, phase);
  if (threadIdx.x == 0) out[0] = static_cast<float>(total[0]);
}

inline int32_t sum_all(const LaunchContext& context, const SumAllArgs& a, cfgd_status*) {
  const int chunks = static_cast<int>(sum_all_chunks(a.n));
  const auto kernel = all_aligned16({a.x}) ? sum_all_tiles<true> : sum_all_tiles<false>;
  CFGD_LAUNCH(kernel, dim3(chunks), dim3(kStripThreads), 0, context.stream, a, context.fault);
  if (chunks > 1)
    CFGD_LAUNCH(add_all_chunks, dim3(1), dim3(kStripThreads), 0, context.stream, a.partials, chunks, a.out,
                context.fault);
  return CFGD_OK;
}

}  // namespace cfgd
