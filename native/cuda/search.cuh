// Searches of a block of threads for the place at which a running sum of weights reaches a target. Device code.
//
// Weights are integers: their sums are exact, hence the same for every order and number of threads.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/reduce.cuh"

namespace cfgd {

struct Reached {
  int64_t index;
  unsigned long long at;      // the weight there
  unsigned long long before;  // the sum of those before it
  unsigned long long target;
  unsigned long long total;
};

/// The first index at which weight_at(0) + weight_at(1) + … reaches target_of(total of all n), which is at least 1 and
/// at most the total. Every thread gets the result.
///
/// Each warp sums a contiguous part; the search then goes on in the part where the target lies, with all warps. Hence
/// one pass over the items and a small fraction of another.
template <int kThreads, class WeightAt, class TargetOf>
__device__ Reached first_reaching(int64_t n, const WeightAt& weight_at, const TargetOf& target_of) {
  constexpr int kWarps = kThreads / kWarp;
  static_assert(kWarps > 1);  // or the part would not get smaller
  __shared__ unsigned long long sums[kWarps];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  Reached reached{0, 0, 0, 0, 0};
  int64_t begin = 0, end = n, part;
  do {
    part = (end - begin + kThreads - 1) / kThreads * kWarp;
    const int64_t from = begin + warp * part, to = from + part < end ? from + part : end;
    unsigned long long sum = 0;
    for (int64_t i = from + lane; i < to; i += kWarp) sum += weight_at(i);
    sum = reduce_warp<Sum>(sum);
    __syncthreads();  // the sums of the round before have been read
    if (lane == 0) sums[warp] = sum;
    __syncthreads();
    if (begin == 0 && end == n) {
      reached.total = 0;
      for (int w = 0; w < kWarps; w++) reached.total += sums[w];
      reached.target = target_of(reached.total);
    }
    int w = 0;
    while (w + 1 < kWarps && reached.before + sums[w] < reached.target) reached.before += sums[w++];
    begin += w * part;
    end = begin + part < end ? begin + part : end;
  } while (part > kWarp);
  // What is left is no wider than a warp; each of them finds the same.
  const unsigned long long own = begin + lane < end ? weight_at(begin + lane) : 0;
  unsigned long long sum = own;
  for (int distance = 1; distance < kWarp; distance <<= 1) {
    const unsigned long long lower = __shfl_up_sync(0xffffffffu, sum, distance);
    if (lane >= distance) sum += lower;
  }
  const unsigned reaching = __ballot_sync(0xffffffffu, reached.before + sum >= reached.target);
  const int found = __ffs(reaching) - 1;
  reached.index = begin + found;
  reached.at = __shfl_sync(0xffffffffu, own, found);
  reached.before += __shfl_sync(0xffffffffu, sum - own, found);
  return reached;
}

/// Sums of 64-bit weights by digit, in shared memory.
struct Histogram {
  static constexpr int kBins = 2048;
  uint32_t low[kBins], high[kBins];

  /// Two native 32-bit additions: each carry is seen by exactly one thread, so that the sum is exact in any order.
  __device__ void add(uint32_t bin, unsigned long long weight) {
    const uint32_t part = static_cast<uint32_t>(weight), old = atomicAdd(&low[bin], part);
    const uint32_t rest = static_cast<uint32_t>(weight >> 32) + (old + part < old);
    if (rest) atomicAdd(&high[bin], rest);
  }
  __device__ unsigned long long operator[](uint32_t bin) const {
    return static_cast<unsigned long long>(high[bin]) << 32 | low[bin];
  }
};

struct Selected {
  uint32_t key;
  unsigned long long needed;  // of the weight at the key, to reach the target
  unsigned long long at;      // the weight at the key
};

/// The key at which the sum of weights, by falling key, reaches target_of(total). key_at(t) gives the key of item t of
/// [0, n) and weight_at(t) its weight. Three passes over the items, by digits of 11, 11 and 10 bits; no sort.
template <int kThreads, class KeyAt, class WeightAt, class TargetOf>
__device__ Selected select_key(int64_t n, const KeyAt& key_at, const WeightAt& weight_at, const TargetOf& target_of) {
  constexpr uint32_t kLast = Histogram::kBins - 1;
  __shared__ Histogram histogram;
  Selected selected{0, 0, 0};
#pragma unroll 1
  for (int shift = 21; shift >= 0; shift -= shift > 10 ? 11 : 10) {
    const uint32_t decided = shift == 21 ? 0 : ~0u << (shift == 0 ? 10 : 21);  // bits
    const uint32_t mask = shift == 0 ? kLast >> 1 : kLast;
    __syncthreads();  // the round before has been read
    for (int bin = threadIdx.x; bin < Histogram::kBins; bin += kThreads) histogram.low[bin] = histogram.high[bin] = 0;
    __syncthreads();
    for (int64_t t = threadIdx.x; t < n; t += kThreads) {
      const uint32_t key = key_at(t);
      if ((key & decided) != (selected.key & decided)) continue;
      const unsigned long long weight = weight_at(t);
      if (weight) histogram.add(key >> shift & mask, weight);
    }
    __syncthreads();
    const Reached reached = first_reaching<kThreads>(
        Histogram::kBins, [&](int64_t i) { return histogram[kLast - static_cast<uint32_t>(i)]; },
        [&](unsigned long long total) { return shift == 21 ? target_of(total) : selected.needed; });
    selected.key |= (kLast - static_cast<uint32_t>(reached.index)) << shift;
    selected.needed = reached.target - reached.before;
    selected.at = reached.at;
  }
  return selected;
}

}  // namespace cfgd
