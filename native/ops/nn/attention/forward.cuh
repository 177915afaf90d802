// Attention, forward, in float32 arithmetic. Device code.
//
// One block takes kRows queries of one head through its keys, kColumns at a time; the weights of a tile go through shared
// memory, sums and softmax stay in registers. Every query and output moves once, keys and values once per kRows queries,
// mostly out of the L2 cache; the arithmetic bounds it. Under a causal order the longest blocks come first.
#pragma once
#include <cuda_runtime.h>

#include "cuda/launch.cuh"
#include "ops/nn/attention/range.cuh"
#include "ops/nn/attention/tile.cuh"

namespace cfgd {

/// Whether all rows of queries, keys and values, of their gradients and of outputs, let four elements be moved at once.
struct Wide {
  bool q, kv, out;
};

/// The rows of one head.
template <class Args>
struct HeadRows {
  const Args& a;
  const HeadRange& range;
  Wide wide;

  template <class T>
  __device__ Rows<T> queries(T* tensor) const {
    return {tensor + range.row * a.shape.queries * a.q_step + offset(), a.q_step, n(), wide.q};
  }
  template <class T>
  __device__ Rows<T> keys(T* tensor) const {
    return {tensor + range.row * a.shape.keys * a.kv_step + offset(), a.kv_step, n(), wide.kv};
  }
  template <class T>
  __device__ Rows<T> outputs(T* tensor) const {
    const int64_t width = a.shape.heads * a.shape.head_dim;
    return {tensor + range.row * a.shape.queries * width + offset(), width, n(), wide.out};
  }

 private:
  __device__ int64_t offset() const { return range.head * a.shape.head_dim; }
  __device__ int n() const { return static_cast<int>(a.shape.head_dim); }
};

template <int D, int kRows, int kColumns>
constexpr size_t kForwardBytes = sizeof(float) * ((kRows + kColumns) * kLine<D> + kRows * kLine<kColumns>);

template <class T, int D, int kRows, int kColumns>
__global__ void __launch_bounds__(kTileThreads, 1) attend_rows(AttentionForward<T> a, Wide wide, FaultPort port) {
  constexpr int kOwn = kRows / kDown, kOther = kColumns / kAcross;
  CFGD_DYNAMIC_SHARED(float, memory);
  if (skipped(port)) return;
  const int64_t lines = a.shape.rows * a.shape.heads, longest_first = gridDim.x - 1 - blockIdx.x;
  HeadRange range;
  if (!range_of(a, longest_first % lines, port, range)) return;
  const HeadRows<AttentionForward<T>> rows{a, range, wide};
  const int first = static_cast<int>(longest_first / lines) * kRows, queries = static_cast<int>(a.shape.queries);
  float* query_tile = memory;
  float* key_tile = query_tile + kRows * kLine<D>;  // then values
  float* weights = key_tile + kColumns * kLine<D>;
  load_tile<kRows, D>(rows.queries(a.q), first, 0, queries, query_tile);

  float sums[kOwn][D / 32][4] = {};
  Running running[kOwn];
  const float factor = score_factor(a.shape.head_dim);
  const int end = range.end_before(first + kRows);
  for (int j = range.start; j < end; j += kColumns) {
    __syncthreads();  // the last tile of values has been read
    load_tile<kColumns, D>(rows.keys(a.k), j, j, end, key_tile);
    __syncthreads();
    float scores[kOwn][kOther];
    multiply_rows<D>(query_tile, key_tile, scores);
    __syncthreads();
    load_tile<kColumns, D>(rows.keys(a.v), j, j, end, key_tile);
#pragma unroll
    for (int i = 0; i < kOwn; i++) {
      const int own = down() * kOwn + i;
      float highest = -INFINITY;
#pragma unroll
      for (int c = 0; c < kOther; c++) {
        const bool seen = range.sees(first + own, j + across() + kAcross * c);
        scores[i][c] = seen ? scores[i][c] * factor : -INFINITY;
        highest = fmaxf(highest, scores[i][c]);
      }
      const float correction = running[i].raise(reduce_across<Maximum>(highest));
      float sum = 0;
#pragma unroll
      for (int c = 0; c < kOther; c++) {
        const float weight = exp2f(scores[i][c] - running[i].shift());
        sum += weight;
        weights[own * kLine<kColumns> + across() + kAcross * c] = weight;
      }
      running[i].sum += reduce_across<Sum>(sum);
#pragma unroll
      for (int c = 0; c < D / 32; c++)
#pragma unroll
        for (int e = 0; e < 4; e++) sums[i][c][e] *= correction;
    }
    __syncthreads();
    add_mixed<D, kColumns>(weights, key_tile, sums);
  }

  float inverse[kOwn];
#pragma unroll
  for (int i = 0; i < kOwn; i++) {
    const int query = first + down() * kOwn + i;
    inverse[i] = running[i].inverse();
    if (across() == 0 && query < queries) a.lse[range.line * a.shape.queries + query] = running[i].lse();
  }
  store_rows<kOwn, D>(sums, inverse, rows.outputs(a.out), first, queries);
}

}  // namespace cfgd
