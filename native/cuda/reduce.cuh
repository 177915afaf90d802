// Reductions over the threads of a warp or a block. Device code.
//
// Every reduction combines in a fixed order, so that a result never depends on timing. Sums of integers do not depend on
// the number of threads either.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

namespace cfgd {

constexpr int kWarp = 32;

struct Sum {
  template <class V>
  __device__ static V of(V a, V b) {
    return a + b;
  }
};
struct Maximum {
  template <class V>
  __device__ static V of(V a, V b) {
    return a > b ? a : b;
  }
};

/// Reduces a value over a warp; every lane gets the result.
template <class Combine, class V>
__device__ V reduce_warp(V value) {
  for (int distance = kWarp / 2; distance; distance >>= 1)
    value = Combine::of(value, __shfl_xor_sync(0xffffffffu, value, distance));
  return value;
}

/// Reduces `values` over the block of kThreads threads; every thread gets the result. `phase` counts the reductions of
/// the block, starting at 0: neighbours use different memory, so one barrier each is enough.
template <class Combine, int kThreads, int kValues, class V>
__device__ void reduce_block(V (&values)[kValues], int& phase) {
  constexpr int kWarps = kThreads / kWarp;
  __shared__ V partial[2][kWarps][kValues];
  const int half = phase++ & 1;
#pragma unroll
  for (int i = 0; i < kValues; i++) values[i] = reduce_warp<Combine>(values[i]);
  if (threadIdx.x % kWarp == 0) {
#pragma unroll
    for (int i = 0; i < kValues; i++) partial[half][threadIdx.x / kWarp][i] = values[i];
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kValues; i++) {
    values[i] = partial[half][0][i];
#pragma unroll 4  // all of them at once would take many registers
    for (int w = 1; w < kWarps; w++) values[i] = Combine::of(values[i], partial[half][w][i]);
  }
}

}  // namespace cfgd
