// A product with very few rows, as in decoding: the other operand is read once, 16 bytes at a time, at the speed of
// memory.
//
// kAlong (b lies [n, k]): a warp takes two columns of the result and goes along k, each lane with two chunks of either
// column in flight; the lanes' sums are added up in a tree. Otherwise (b lies [k, n]): a block takes the columns of four
// adjacent chunks and 128 places in k at a time, one per group of four lanes; groups are added up in a tree over the
// warp, then warp after warp. The rows of a, read again and again, come from the caches. kWidth is 1 for operands that
// do not allow 16-byte accesses.
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/fault.cuh"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "ops/nn/matmul/launch.h"
#include "ops/nn/matmul/output.cuh"

namespace cfgd {
namespace {

constexpr int kAlongThreads = 256, kAlongColumns = 2;   // columns of a warp
constexpr int kAcrossThreads = 512, kAcrossLanes = 4;  // adjacent chunks of a block

/// kWidth elements as float32.
template <int kWidth, class T>
__device__ void load_some(const T* from, float (&x)[kWidth]) {
  if constexpr (kWidth == 1)
    x[0] = widened(*from);
  else
    load_pack(from, x);
}

template <class T>
__device__ void put_row(const Matmul<T>& a, int64_t row, int64_t column, float sum) {
  if (a.float_out)
    Output<float>(a).put(row, column, sum);
  else
    Output<T>(a).put(row, column, sum);
}

template <class T, int kRows, int kWidth>
__global__ void __launch_bounds__(kAlongThreads) multiply_rows_along(Matmul<T> a, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kStride = kWarp * kWidth, kFlight = 2;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t warp = (int64_t{blockIdx.x} * kAlongThreads + threadIdx.x) / kWarp;
  const int64_t column0 = warp * kAlongColumns;
  if (column0 >= a.n) return;
  const T* columns[kAlongColumns];
#pragma unroll
  for (int c = 0; c < kAlongColumns; c++)  // the last warp may take its column twice
    columns[c] = a.b + (column0 + c < a.n ? column0 + c : column0) * a.k;
  float sums[kRows][kAlongColumns] = {};
  for (int64_t at = lane * kWidth; at < a.k; at += kFlight * kStride) {
    float right[kFlight][kAlongColumns][kWidth];
#pragma unroll
    for (int f = 0; f < kFlight; f++)
#pragma unroll
      for (int c = 0; c < kAlongColumns; c++) {
        // k is a multiple of kWidth. Past its end a chunk that is there is loaded, and not used.
        const int64_t from = at + f * kStride < a.k ? at + f * kStride : at;
        load_some<kWidth>(columns[c] + from, right[f][c]);
      }
#pragma unroll
    for (int f = 0; f < kFlight; f++) {
      if (at + f * kStride >= a.k) break;
#pragma unroll
      for (int r = 0; r < kRows; r++) {
        if (r >= a.m) break;
        float left[kWidth];
        load_some<kWidth>(a.a + r * a.k + at + f * kStride, left);
#pragma unroll
        for (int i = 0; i < kWidth; i++)
#pragma unroll
          for (int c = 0; c < kAlongColumns; c++) sums[r][c] = fmaf(left[i], right[f][c][i], sums[r][c]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; r++)
#pragma unroll
    for (int c = 0; c < kAlongColumns; c++) {
      const float sum = reduce_warp<Sum>(sums[r][c]);
      if (lane == r * kAlongColumns + c && r < a.m && column0 + c < a.n) put_row(a, r, column0 + c, sum);
    }
}

template <class T, int kRows, int kWidth>
__global__ void __launch_bounds__(kAcrossThreads) multiply_rows_across(Matmul<T> a, FaultPort port) {
  constexpr int kGroups = kAcrossThreads / kAcrossLanes, kWarps = kAcrossThreads / kWarp;
  constexpr int kColumns = kAcrossLanes * kWidth, kFlight = 4;
  __shared__ float partial[kWarps][kRows][kColumns];
  if (skipped(port)) return;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp, part = thread % kAcrossLanes * kWidth;
  const int64_t column = int64_t{blockIdx.x} * kColumns + part;
  float sums[kRows][kWidth] = {};
  if (column < a.n) {
    for (int64_t at = thread / kAcrossLanes; at < a.k; at += kFlight * kGroups) {
      float right[kFlight][kWidth];
#pragma unroll
      for (int f = 0; f < kFlight; f++) {
        const int64_t from = at + f * kGroups < a.k ? at + f * kGroups : at;
        load_some<kWidth>(a.b + from * a.n + column, right[f]);
      }
#pragma unroll
      for (int f = 0; f < kFlight; f++) {
        if (at + f * kGroups >= a.k) break;
#pragma unroll
        for (int r = 0; r < kRows; r++) {
          if (r >= a.m) break;
          const float left = widened(a.a[r * a.k + at + f * kGroups]);
#pragma unroll
          for (int i = 0; i < kWidth; i++) sums[r][i] = fmaf(left, right[f][i], sums[r][i]);
        }
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; r++)
#pragma unroll
    for (int i = 0; i < kWidth; i++) {
      float sum = sums[r][i];
#pragma unroll
      for (int distance = kWarp / 2; distance >= kAcrossLanes; distance /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, distance);
      if (lane < kAcrossLanes) partial[thread / kWarp][r][part + i] = sum;
    }
  __syncthreads();
  for (int i = thread; i < kRows * kColumns; i += kAcrossThreads) {
    const int r = i / kColumns, c = i % kColumns;
    const int64_t target = int64_t{blockIdx.x} * kColumns + c;
    if (r >= a.m || target >= a.n) continue;
    float sum = partial[0][r][c];
    for (int w = 1; w < kWarps; w++) sum += partial[w][r][c];
    put_row(a, r, target, sum);
  }
}

template <class T, int kRows, int kWidth>
void launch(const LaunchContext& context, const Matmul<T>& a) {
  const int64_t columns = a.transpose_b ? kAlongThreads / kWarp * kAlongColumns : kAcrossLanes * kWidth;
  const dim3 grid(static_cast<unsigned>((a.n + columns - 1) / columns));
  const dim3 block(a.transpose_b ? kAlongThreads : kAcrossThreads);
  const auto kernel = a.transpose_b ? multiply_rows_along<T, kRows, kWidth> : multiply_rows_across<T, kRows, kWidth>;
  CFGD_LAUNCH(kernel, grid, block, 0, context.stream, a, context.fault);
}

template <class T, int kRows>
void launch(const LaunchContext& context, const Matmul<T>& a) {
  const auto whole = [](const void* operand, int64_t line) {
    return reinterpret_cast<uintptr_t>(operand) % 16 == 0 && line % kPack<T> == 0;
  };
  if (a.transpose_b ? whole(a.a, a.k) && whole(a.b, a.k) : whole(a.b, a.n))
    launch<T, kRows, kPack<T>>(context, a);
  else
    launch<T, kRows, 1>(context, a);
}

template <class T>
void launch_any(const LaunchContext& context, const Matmul<T>& a) {
  if (a.m == 1)
    launch<T, 1>(context, a);
  else if (a.m == 2)
    launch<T, 2>(context, a);
  else
    launch<T, kMostRows>(context, a);
}

}  // namespace

void launch_rows(const LaunchContext& context, const Matmul<float>& a) { launch_any(context, a); }
void launch_rows(const LaunchContext& context, const Matmul<bf16>& a) { launch_any(context, a); }

}  // namespace cfgd
