// Reductions over the threads of a block, and a search built on them. Device code.
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
  for (int i = 0; i < kValues; i++) {
    values[i] = partial[half][0][i];
    for (int w = 1; w < kWarps; w++) values[i] = Combine::of(values[i], partial[half][w][i]);
  }
}

struct Item {
  uint32_t key;
  unsigned long long weight;
};

/// The largest threshold whose items at or above it weigh `target` or more in all: the key of the item at which the
/// sum, by falling key, reaches the target. Keys are below 2^bits; all items together must reach the target.
/// `item_at(t)` gives item t of [0, count). Two bits of the threshold per pass over the items; no sort.
template <int kThreads, class ItemAt>
__device__ uint32_t reaching(int64_t count, int bits, unsigned long long target, int& phase, const ItemAt& item_at) {
  uint32_t threshold = 0;
  for (int shift = (bits + 1) / 2 * 2 - 2; shift >= 0; shift -= 2) {
    unsigned long long weight[3] = {0, 0, 0};
    const uint32_t prefix = threshold >> shift;
    for (int64_t t = threadIdx.x; t < count; t += kThreads) {
      const Item item = item_at(t);
      const uint32_t head = item.key >> shift;
      for (uint32_t digit = 1; digit <= 3; digit++)
        if (head >= prefix + digit) weight[digit - 1] += item.weight;
    }
    reduce_block<Sum, kThreads>(weight, phase);
    const uint32_t digit = weight[2] >= target ? 3 : weight[1] >= target ? 2 : weight[0] >= target ? 1 : 0;
    threshold |= digit << shift;
  }
  return threshold;
}

}  // namespace cfgd
