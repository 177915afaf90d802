// Scalar products of two arrays, and the factors of slerp from them. Device code.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/fault.cuh"
#include "cuda/row.cuh"
#include "cuda/sum.cuh"
#include "ops/merge/slerp.h"

namespace cfgd {

constexpr int kProductThreads = 256, kFactorThreads = 256;

/// Adds this thread's part of a·a, a·b and b·b over n elements, kWidth at a time.
template <int kWidth, class T>
__device__ void add_products(const T* a, const T* b, int64_t n, double (&sums)[3]) {
  scan_rows<kProductThreads, kWidth>(a, b, n, [&](int64_t, const float(&x)[kWidth], const float(&y)[kWidth]) {
#pragma unroll
    for (int k = 0; k < kWidth; k++) {
      const double of_a = x[k], of_b = y[k];
      sums[0] = fma(of_a, of_a, sums[0]);
      sums[1] = fma(of_a, of_b, sums[1]);
      sums[2] = fma(of_b, of_b, sums[2]);
    }
  });
}

// One tile per block, whose three sums it writes: all tiles' of one product, then those of the next. Reads both arrays
// once, the least possible, 16 bytes at a time. In double, as on the CPU: whether two directions are opposite is known
// no better than the sums.
template <class T>
__global__ void __launch_bounds__(kProductThreads) sum_products(Slerp<T> args, FaultPort port) {
  if (skipped(port)) return;
  const int64_t begin = int64_t{blockIdx.x} * kProductTile;
  const int64_t n = args.n - begin < kProductTile ? args.n - begin : kProductTile;
  const T *a = args.a + begin, *b = args.b + begin;
  const int64_t packed = aligned16(a) && aligned16(b) ? n / kPack<T> * kPack<T> : 0;
  double sums[3] = {0, 0, 0};
  add_products<kPack<T>>(a, b, packed, sums);
  add_products<1>(a + packed, b + packed, n - packed, sums);
  int phase = 0;
  reduce_block<Sum, kProductThreads>(sums, phase);
  if (threadIdx.x != 0) return;
#pragma unroll
  for (int k = 0; k < 3; k++) args.workspace[k * int64_t{gridDim.x} + blockIdx.x] = sums[k];
}

// One block: the tiles' sums, added in a fixed order, and with an `out` the factors.
template <class T>
__global__ void __launch_bounds__(kFactorThreads) find_factors(Slerp<T> args, int64_t tiles, FaultPort port) {
  if (skipped(port)) return;
  int phase = 0;
  double sums[3];
#pragma unroll
  for (int k = 0; k < 3; k++) sums[k] = sum_of<kFactorThreads>(args.workspace + k * tiles, tiles, phase);
  if (threadIdx.x != 0) return;
#pragma unroll
  for (int k = 0; k < 3; k++) args.sums[k] = sums[k];
  if (!args.out) return;
  const SlerpFault fault = slerp_factors(sums, args.weight, args.sums + 3);
  if (fault != SlerpFault::none) raise_fault(port, 0, 0, static_cast<int>(fault));
}

}  // namespace cfgd
