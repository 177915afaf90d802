// One step of decoding against the key/value cache. Device code.
//
// One block takes up to kDecodePart keys of one head: a key is read by a few neighbouring lanes, 16 bytes each, so that
// keys and values move once, in whole lines, several loads in flight; a second kernel puts the parts together in their
// order. The grid covers the whole capacity, blocks beyond the position leave at once: a recorded launch serves every
// position.
#pragma once
#include <cuda_runtime.h>

#include "cuda/pack.cuh"
#include "cuda/reduce.cuh"
#include "ops/nn/attention/range.cuh"

namespace cfgd {

constexpr int kDecodeThreads = 128;
static_assert(kDecodePart == kDecodeThreads);  // one score per thread

/// False, with the fault raised, when the step has no place in the cache or the row begins before it.
template <class Args>
__device__ bool step_fits(const Args& a, int64_t row, const FaultPort& port) {
  const int position = *a.position, start = a.starts[row];
  const bool bad_position = position < 0 || position >= a.capacity;
  if (!bad_position && start >= 0) return true;
  if (threadIdx.x == 0 && bad_position)
    raise_fault(port, 0, position < 0 ? -1 - int64_t{position} : position,
                position < 0 ? kNegativeStepPosition : kStepPosition, a.capacity);
  if (threadIdx.x == 0 && !bad_position) raise_fault(port, row, -1 - int64_t{start}, kStepStart, a.capacity);
  return false;
}

/// How a warp reads lines of D elements, 32 lines in all: kLanes lanes share a line, each with kPacks packs.
template <class T, int D>
struct Lines {
  static constexpr int kPer = kPack<T>, kAll = D / kPer;
  static constexpr int kLanes = kAll < kWarp ? kAll : kWarp, kPacks = kAll / kLanes, kAtOnce = kWarp / kLanes;
  static constexpr int kSteps = kWarp / kAtOnce, kBatch = kSteps < 4 ? kSteps : 4;  // loads in flight

  /// This lane's part of a line; zeros from n on.
  template <bool kWide>
  __device__ static void load(const T* line, int n, float (&x)[kPacks][kPer]) {
#pragma unroll
    for (int p = 0; p < kPacks; p++) {
      const int d = (static_cast<int>(threadIdx.x) % kLanes + p * kLanes) * kPer;
      if (kWide && d < n) {
        load_pack(line + d, x[p]);
      } else {
#pragma unroll
        for (int e = 0; e < kPer; e++) x[p][e] = !kWide && d + e < n ? widened(line[d + e]) : 0.0f;
      }
    }
  }
  /// Calls body(j, line j) for those of the warp's 32 lines that are below count > 0, and with the last one instead of
  /// the others; line_at(j) is where it lies.
  template <bool kWide, class LineAt, class Body>
  __device__ static void each(int count, int n, const LineAt& line_at, const Body& body) {
    const int thread = static_cast<int>(threadIdx.x), own = thread / kWarp * kWarp + thread % kWarp / kLanes;
#pragma unroll 1
    for (int step = 0; step < kSteps; step += kBatch) {
      float x[kBatch][kPacks][kPer];
#pragma unroll
      for (int b = 0; b < kBatch; b++) {
        const int j = own + (step + b) * kAtOnce;
        load<kWide>(line_at(j < count ? j : count - 1), n, x[b]);
      }
#pragma unroll
      for (int b = 0; b < kBatch; b++) body(own + (step + b) * kAtOnce, x[b]);
    }
  }
};

/// What a block keeps of its keys.
template <int D>
struct DecodeMemory {
  float weights[kDecodePart];  // scores, then weights
  float mixed[kDecodeThreads / kWarp][D];
};

/// Scores of the warp's keys into weights.
template <class T, int D, bool kWide, class LineAt>
__device__ void score_keys(const T* query, int count, int n, const LineAt& key_at, DecodeMemory<D>& memory) {
  using L = Lines<T, D>;
  float q[L::kPacks][L::kPer];
  L::template load<kWide>(query, n, q);
  const float factor = score_factor(n);
  L::template each<kWide>(count, n, key_at, [&](int j, const float (&x)[L::kPacks][L::kPer]) {
    float dot = 0;
#pragma unroll
    for (int p = 0; p < L::kPacks; p++)
#pragma unroll
      for (int e = 0; e < L::kPer; e++) dot = fmaf(q[p][e], x[p][e], dot);
#pragma unroll
    for (int distance = L::kLanes / 2; distance; distance >>= 1) dot += __shfl_xor_sync(0xffffffffu, dot, distance);
    if (threadIdx.x % L::kLanes == 0 && j < count) memory.weights[j] = dot * factor;
  });
}

/// The warp's values times their weights, into its row of mixed.
template <class T, int D, bool kWide, class LineAt>
__device__ void mix_values(int count, int n, const LineAt& value_at, DecodeMemory<D>& memory) {
  using L = Lines<T, D>;
  float sums[L::kPacks][L::kPer] = {};
  L::template each<kWide>(count, n, value_at, [&](int j, const float (&x)[L::kPacks][L::kPer]) {
    if (j >= count) return;
    const float weight = memory.weights[j];
#pragma unroll
    for (int p = 0; p < L::kPacks; p++)
#pragma unroll
      for (int e = 0; e < L::kPer; e++) sums[p][e] = fmaf(weight, x[p][e], sums[p][e]);
  });
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
  for (int p = 0; p < L::kPacks; p++)
#pragma unroll
    for (int e = 0; e < L::kPer; e++) {
      float total = sums[p][e];
#pragma unroll
      for (int distance = kWarp / 2; distance >= L::kLanes; distance >>= 1)
        total += __shfl_xor_sync(0xffffffffu, total, distance);
      if (lane < L::kLanes) memory.mixed[threadIdx.x / kWarp][(lane + p * L::kLanes) * L::kPer + e] = total;
    }
}

template <class T, int D>
__global__ void __launch_bounds__(kDecodeThreads) decode_part(AttentionDecode<T> a, bool wide, FaultPort port) {
  __shared__ DecodeMemory<D> memory;
  if (skipped(port)) return;
  const int64_t lines = a.shape.rows * a.shape.heads, line = blockIdx.x % lines, part = blockIdx.x / lines;
  const int64_t row = line / a.shape.heads, width = a.shape.heads * a.shape.head_dim;
  if (!step_fits(a, row, port)) return;
  const int n = static_cast<int>(a.shape.head_dim), position = *a.position, start = a.starts[row];
  const int thread = static_cast<int>(threadIdx.x);
  const T* query = a.qkv + row * 3 * width + (line - row * a.shape.heads) * n;
  T* keys = a.cache + line * a.capacity * n;
  T* values = keys + lines * a.capacity * n;
  if (part == 0) {
    for (int d = thread; d < n; d += kDecodeThreads) {
      keys[int64_t{position} * n + d] = query[width + d];
      values[int64_t{position} * n + d] = query[2 * width + d];
    }
  }
  const int64_t first = start + part * kDecodePart;
  const int count = static_cast<int>(position + 1 - first < kDecodePart ? position + 1 - first : kDecodePart);
  const bool alone = a.capacity <= kDecodePart;
  if (count <= 0) {  // decode_whole does not read this part
    if (alone)
      for (int d = thread; d < n; d += kDecodeThreads) a.out[line * n + d] = narrowed<T>(0.0f);
    return;
  }
  // What is being written is taken from where it came.
  const auto key_at = [&](int j) { return first + j == position ? query + width : keys + (first + j) * n; };
  const auto value_at = [&](int j) { return first + j == position ? query + 2 * width : values + (first + j) * n; };

  memory.weights[thread] = -INFINITY;
  __syncwarp();
  if (wide)
    score_keys<T, D, true>(query, count, n, key_at, memory);
  else
    score_keys<T, D, false>(query, count, n, key_at, memory);
  __syncwarp();
  int phase = 0;
  float highest[1] = {memory.weights[thread]};
  reduce_block<Maximum, kDecodeThreads>(highest, phase);
  const float weight = exp2f(memory.weights[thread] - Running::shift_of(highest[0]));
  float sum[1] = {weight};
  memory.weights[thread] = weight;
  reduce_block<Sum, kDecodeThreads>(sum, phase);
  if (wide)
    mix_values<T, D, true>(count, n, value_at, memory);
  else
    mix_values<T, D, false>(count, n, value_at, memory);
  __syncthreads();

  const Running whole{highest[0], sum[0]};
  float* partial = a.partial + (line * decode_parts(a.capacity) + part) * (n + 2);
  for (int d = thread; d < n; d += kDecodeThreads) {
    float total = 0;
#pragma unroll
    for (int w = 0; w < kDecodeThreads / kWarp; w++) total += memory.mixed[w][d];
    if (alone)
      a.out[line * n + d] = narrowed<T>(total * whole.inverse());
    else
      partial[d] = total;
  }
  if (thread == 0 && !alone) partial[n] = whole.highest, partial[n + 1] = whole.sum;
}

/// One block per head, after decode_part: the parts' sums brought to one maximum.
template <class T>
__global__ void __launch_bounds__(kDecodeThreads) decode_whole(AttentionDecode<T> a, FaultPort port) {
  if (skipped(port)) return;
  const int64_t line = blockIdx.x, row = line / a.shape.heads;
  if (!step_fits(a, row, port)) return;  // reported already
  const int n = static_cast<int>(a.shape.head_dim), keys = *a.position + 1 - a.starts[row];
  const int parts = keys > 0 ? static_cast<int>(decode_parts(keys)) : 0;
  const float* partial = a.partial + line * decode_parts(a.capacity) * (n + 2);
  const auto highest_of = [&](int p) { return partial[int64_t{p} * (n + 2) + n]; };
  const auto sum_of = [&](int p) { return partial[int64_t{p} * (n + 2) + n + 1]; };
  float highest = -INFINITY;
  for (int p = 0; p < parts; p++) highest = fmaxf(highest, highest_of(p));
  Running whole{highest, 0};
  for (int p = 0; p < parts; p++) whole.sum += sum_of(p) * exp2f(highest_of(p) - whole.shift());
  for (int d = static_cast<int>(threadIdx.x); d < n; d += kDecodeThreads) {
    float total = 0;
    for (int p = 0; p < parts; p++)
      total = fmaf(partial[int64_t{p} * (n + 2) + d], exp2f(highest_of(p) - whole.shift()), total);
    a.out[line * n + d] = narrowed<T>(total * whole.inverse());
  }
}

}  // namespace cfgd
