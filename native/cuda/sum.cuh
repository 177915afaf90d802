// The sum of an array by one block, for what many blocks have left for one. Device code.
#pragma once
#include "cuda/reduce.cuh"

namespace cfgd {

/// Σ values[i] over i < n in double, in an order that n alone decides; every thread of the block gets it. `phase` as in
/// reduce_block.
template <int kThreads, class V>
__device__ double sum_of(const V* values, int64_t n, int& phase) {
  double sum[1] = {0};
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < n; i += kThreads) sum[0] += values[i];
  reduce_block<Sum, kThreads>(sum, phase);
  return sum[0];
}

}  // namespace cfgd
