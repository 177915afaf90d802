// Which keys a query sees, and the softmax over them tile by tile: the one definition of both on CUDA. Device code.
//
// Scores are kept in powers of two: s · log2 e / √head_dim, so that weights are 2^(score − maximum).
#pragma once
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

#include "cuda/fault.cuh"
#include "ops/nn/attention/attention.h"
#include "ops/nn/attention/faults.h"

namespace cfgd {

constexpr float kLog2E = 1.44269504088896341f, kLn2 = 0.693147180559945309f;

/// One head of one row, and its keys.
struct HeadRange {
  int64_t row, head, line;  // line = row · heads + head
  int start, end;           // start ≤ end
  bool causal;

  __device__ bool sees(int query, int key) const {
    return key >= start && key < end && (!causal || key <= query);
  }
  /// Whether queries from `query` on see all keys of [key, key_end).
  __device__ bool all_seen(int query, int key, int key_end) const {
    return key >= start && key_end <= end && (!causal || key_end <= query + 1);
  }
  /// The end of the keys that some query before `query` sees.
  __device__ int end_before(int query) const { return causal && query < end ? (query > start ? query : start) : end; }
};

/// A bound of keys at fault, the block's first thread raising it.
__device__ inline bool bad_bound(int bound, int64_t keys, int64_t row, int kind, const FaultPort& port) {
  if (bound >= 0 && bound <= keys) return false;
  if (threadIdx.x == 0) raise_fault(port, row, bound < 0 ? -1 - int64_t{bound} : bound, kind + (bound < 0), keys);
  return true;
}

/// False, with the fault raised, when the row's range is not one.
template <class Args>
__device__ bool range_of(const Args& a, int64_t line, const FaultPort& port, HeadRange& range) {
  const int64_t row = line / a.shape.heads;
  const int start = a.starts[row], end = a.ends[row];
  if (bad_bound(start, a.shape.keys, row, kStart, port) || bad_bound(end, a.shape.keys, row, kEnd, port)) return false;
  range = {row, line - row * a.shape.heads, line, start, end > start ? end : start, a.causal != 0};
  return true;
}

/// 2^x to about 2^−22 of its value, for weights that are rounded to bfloat16 anyway.
__device__ inline float fast_exp2(float x) {
#if defined(__CUDACC__)
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return exp2f(x);
#endif
}

/// log2 e / √head_dim: from a product of query and key to a score.
__device__ inline float score_factor(int64_t head_dim) { return kLog2E / sqrtf(static_cast<float>(head_dim)); }

/// The softmax of one query as it stands after some tiles.
struct Running {
  float highest = -INFINITY;
  float sum = 0;

  /// Takes a tile's largest score in. Returns by how much to multiply what was summed before.
  __device__ float raise(float score) {
    const float now = fmaxf(highest, score), correction = exp2f(highest - shift_of(now));
    highest = now;
    sum *= correction;
    return correction;
  }
  /// What to subtract from scores; scores that are all −∞ weigh 0, not NaN.
  __device__ static float shift_of(float highest) { return highest == -INFINITY ? 0.0f : highest; }
  __device__ float shift() const { return shift_of(highest); }
  __device__ float inverse() const { return sum == 0 ? 0.0f : 1 / sum; }
  __device__ float lse() const { return sum == 0 ? -INFINITY : (highest + log2f(sum)) * kLn2; }
};

/// A log-sum-exp as what to subtract from scores to get weights: without keys they are all 0.
__device__ inline float shift_of_lse(float lse) { return lse == -INFINITY ? INFINITY : lse * kLog2E; }

}  // namespace cfgd
