// Attention, backward, in float32 arithmetic. Device code.
//
// Two kernels, so that nothing is added up by more than one block: the first keeps kRows queries in shared memory and
// streams keys, for gradQ and δ; the second keeps keys and streams queries, for gradK and gradV. Each recomputes the
// weights from lse. They are one template: what stays (own) and what streams (other) change places, and with them the
// roles of query and key. The arithmetic bounds both: 3 and 4 products of [queries, keys, head_dim].
#pragma once
#include <cuda_runtime.h>

#include "cuda/launch.cuh"
#include "ops/nn/attention/forward.cuh"
#include "ops/nn/attention/range.cuh"
#include "ops/nn/attention/tile.cuh"

namespace cfgd {

template <int D, int kRows, int kColumns, bool kOfKeys>
constexpr size_t kBackwardBytes =
    sizeof(float) * (2 * (kRows + kColumns) * kLine<D> + (kOfKeys ? 2 : 1) * kRows * kLine<kColumns> + 2 * kColumns);

/// δ of the thread's queries, which are rows of the tile of gradOut from `first` on; also into `delta`.
template <int kOwn, int D, class T>
__device__ void sum_delta(const float* grad_out, const Rows<const T>& out, int first, int queries, float* delta,
                          float (&sums)[kOwn]) {
#pragma unroll
  for (int i = 0; i < kOwn; i++) {
    const int own = down() * kOwn + i;
    float sum = 0;
    if (first + own < queries) {
      const T* line = out.at(first + own);
      for (int d = across(); d < out.n; d += kAcross) sum = fmaf(grad_out[own * kLine<D> + d], widened(line[d]), sum);
    }
    sums[i] = reduce_across<Sum>(sum);
    if (across() == 0 && first + own < queries) delta[first + own] = sums[i];
  }
}

/// kOfKeys false: gradQ and δ of kRows queries. true: gradK and gradV of kRows keys.
template <class T, int D, int kRows, int kColumns, bool kOfKeys>
__global__ void __launch_bounds__(kTileThreads, 1) differentiate_rows(AttentionBackward<T> a, Wide wide, FaultPort port) {
  constexpr int kOwn = kRows / kDown, kOther = kColumns / kAcross;
  CFGD_DYNAMIC_SHARED(float, memory);
  if (skipped(port)) return;
  const int64_t lines = a.shape.rows * a.shape.heads;
  HeadRange range;
  // Under a causal order the last queries and the first keys have most to do; they come first.
  const int64_t place = kOfKeys ? blockIdx.x : gridDim.x - 1 - blockIdx.x;
  if (!range_of(a, place % lines, port, range)) return;
  const HeadRows<AttentionBackward<T>> rows{a, range, wide};
  const int first = static_cast<int>(place / lines) * kRows;
  const int queries = static_cast<int>(a.shape.queries), keys = static_cast<int>(a.shape.keys);
  const float* lse = a.lse + range.line * a.shape.queries;
  float* delta = a.delta + range.line * a.shape.queries;

  // Queries go with gradOut, keys with values.
  float* own = memory;
  float* own_beside = own + kRows * kLine<D>;
  float* other = own_beside + kRows * kLine<D>;
  float* other_beside = other + kColumns * kLine<D>;
  float* grad_scores = other_beside + kColumns * kLine<D>;
  float* weights = grad_scores + kRows * kLine<kColumns>;                             // kOfKeys
  float* shifts = kOfKeys ? weights + kRows * kLine<kColumns> : weights;              // of the columns, kOfKeys
  float* deltas = shifts + kColumns;
  if (kOfKeys) {
    load_tile<kRows, D>(rows.keys(a.k), first, range.start, range.end, own);
    load_tile<kRows, D>(rows.keys(a.v), first, range.start, range.end, own_beside);
  } else {
    load_tile<kRows, D>(rows.queries(a.q), first, 0, queries, own);
    load_tile<kRows, D>(rows.outputs(a.grad_out), first, 0, queries, own_beside);
  }
  float own_shift[kOwn], own_delta[kOwn];
  if (!kOfKeys) {
    __syncthreads();
    sum_delta<kOwn, D>(own_beside, rows.outputs(a.out), first, queries, delta, own_delta);
#pragma unroll
    for (int i = 0; i < kOwn; i++) {
      const int query = first + down() * kOwn + i;
      own_shift[i] = query < queries ? shift_of_lse(lse[query]) : INFINITY;
    }
  }

  float grads[kOwn][D / 32][4] = {}, grads_beside[kOwn][D / 32][4] = {};
  const float factor = score_factor(a.shape.head_dim);
  // Queries before a key do not see it.
  const int begin = kOfKeys ? (range.causal ? first / kColumns * kColumns : 0) : range.start;
  const int end = kOfKeys ? (first < range.end && first + kRows > range.start ? queries : 0)
                          : range.end_before(first + kRows);
  for (int j = begin; j < end; j += kColumns) {
    __syncthreads();  // the last tile has been read
    if (kOfKeys) {
      load_tile<kColumns, D>(rows.queries(a.q), j, j, end, other);
      load_tile<kColumns, D>(rows.outputs(a.grad_out), j, j, end, other_beside);
      for (int c = static_cast<int>(threadIdx.x); c < kColumns; c += kTileThreads) {
        shifts[c] = j + c < end ? shift_of_lse(lse[j + c]) : INFINITY;
        deltas[c] = j + c < end ? delta[j + c] : 0.0f;
      }
    } else {
      load_tile<kColumns, D>(rows.keys(a.k), j, j, end, other);
      load_tile<kColumns, D>(rows.keys(a.v), j, j, end, other_beside);
    }
    __syncthreads();
    float scores[kOwn][kOther], grad_weights[kOwn][kOther];
    multiply_rows<D>(own, other, scores);
    multiply_rows<D>(own_beside, other_beside, grad_weights);
#pragma unroll
    for (int i = 0; i < kOwn; i++)
#pragma unroll
      for (int c = 0; c < kOther; c++) {
        const int row = down() * kOwn + i, column = across() + kAcross * c;
        const bool seen = kOfKeys ? range.sees(j + column, first + row) : range.sees(first + row, j + column);
        const float shift = kOfKeys ? shifts[column] : own_shift[i];
        const float weight = seen ? exp2f(fmaf(scores[i][c], factor, -shift)) : 0.0f;
        const float difference = grad_weights[i][c] - (kOfKeys ? deltas[column] : own_delta[i]);
        grad_scores[row * kLine<kColumns> + column] = weight * difference;
        if (kOfKeys) weights[row * kLine<kColumns> + column] = weight;
      }
    __syncwarp();  // a row of these belongs to one warp
    add_mixed<D, kColumns>(grad_scores, other, grads);
    if (kOfKeys) add_mixed<D, kColumns>(weights, other_beside, grads_beside);
  }

  float scale[kOwn], one[kOwn];
#pragma unroll
  for (int i = 0; i < kOwn; i++) {
    scale[i] = factor * kLn2;
    one[i] = 1;
  }
  if (kOfKeys) {
    store_rows<kOwn, D>(grads, scale, rows.keys(a.grad_k), first, keys);
    store_rows<kOwn, D>(grads_beside, one, rows.keys(a.grad_v), first, keys);
  } else {
    store_rows<kOwn, D>(grads, scale, rows.queries(a.grad_q), first, queries);
  }
}

}  // namespace cfgd
