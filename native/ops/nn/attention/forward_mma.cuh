// Attention, forward, on tensor cores: bfloat16 in and out, float32 sums and softmax, weights rounded to bfloat16.
// Device code.
//
// One block takes 64 · kM queries of one head through its keys; scores, softmax and sums stay in registers, where the
// layout of a product is that of the next one's operand. Values are on their way while scores are computed, the next
// keys while values are mixed. Masks are applied only in tiles that need one.
#pragma once
#include <cuda_runtime.h>

#include "cuda/launch.cuh"
#include "ops/nn/attention/forward.cuh"
#include "ops/nn/attention/fragments.cuh"

namespace cfgd {

template <int D, int kM, int kColumns>
constexpr size_t kForwardMmaBytes = sizeof(bf16) * (64 * kM + 2 * kColumns) * kHalfLine<D>;

/// Scores of a tile of keys become weights, and what was summed before is brought to the new maxima.
template <int D, int kM, int kTiles>
__device__ void weigh_halves(const HeadRange& range, int query, int key, float factor, float (&scores)[kM][kTiles][4],
                             Running (&running)[kM][2], float (&sums)[kM][D / 8][4]) {
  const int column = lane_of_warp() % 4 * 2, row = lane_of_warp() / 4;
  const bool whole = range.all_seen(query, key, key + 8 * kTiles);
#pragma unroll
  for (int m = 0; m < kM; m++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int own = query + m * 16 + half * 8 + row;
      float highest = -INFINITY;
#pragma unroll
      for (int t = 0; t < kTiles; t++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float& score = scores[m][t][half * 2 + e];
          score = whole || range.sees(own, key + t * 8 + column + e) ? score * factor : -INFINITY;
          highest = fmaxf(highest, score);
        }
      const float correction = running[m][half].raise(reduce_quad<Maximum>(highest)), shift = running[m][half].shift();
      float sum = 0;
#pragma unroll
      for (int t = 0; t < kTiles; t++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float& score = scores[m][t][half * 2 + e];
          score = fast_exp2(score - shift);
          sum += score;
        }
      running[m][half].sum += sum;  // of this lane's columns; added up at the end
#pragma unroll
      for (int c = 0; c < D / 8; c++) {
        sums[m][c][half * 2] *= correction;
        sums[m][c][half * 2 + 1] *= correction;
      }
    }
}

template <int D, int kM, int kColumns>
__global__ void __launch_bounds__(kTileThreads, 1) attend_halves(AttentionForward<bf16> a, Wide wide, FaultPort port) {
  constexpr int kRows = 64 * kM, kTiles = kColumns / 8;
  CFGD_DYNAMIC_SHARED(bf16, memory);
  if (skipped(port)) return;
  const int64_t lines = a.shape.rows * a.shape.heads, longest_first = gridDim.x - 1 - blockIdx.x;
  HeadRange range;
  if (!range_of(a, longest_first % lines, port, range)) return;
  const HeadRows<AttentionForward<bf16>> rows{a, range, wide};
  const int first = static_cast<int>(longest_first / lines) * kRows, queries = static_cast<int>(a.shape.queries);
  const int query = first + warp_of_block() * kM * 16;
  bf16* query_tile = memory;
  bf16* key_tile = query_tile + kRows * kHalfLine<D>;
  bf16* value_tile = key_tile + kColumns * kHalfLine<D>;
  const int end = range.end_before(first + kRows);
  load_halves<kRows, D>(rows.queries(a.q), first, 0, queries, query_tile);
  load_halves<kColumns, D>(rows.keys(a.k), range.start, range.start, end, key_tile);

  float sums[kM][D / 8][4] = {};
  Running running[kM][2];
  const float factor = score_factor(a.shape.head_dim);
  for (int j = range.start; j < end; j += kColumns) {
    await_loads();
    __syncthreads();  // keys are there, the last values have been read
    load_halves<kColumns, D>(rows.keys(a.v), j, j, end, value_tile);
    float scores[kM][kTiles][4];
    multiply_halves<D>(query_tile, key_tile, scores);
    weigh_halves<D>(range, query, j, factor, scores, running, sums);
    await_loads();
    __syncthreads();  // values are there, keys have been read
    load_halves<kColumns, D>(rows.keys(a.k), j + kColumns, j, end, key_tile);
    add_mixed_halves<D>(scores, value_tile, sums);
  }

  await_loads();
  __syncthreads();
  float inverse[kM][2];
#pragma unroll
  for (int m = 0; m < kM; m++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int own = query + m * 16 + half * 8 + lane_of_warp() / 4;
      running[m][half].sum = reduce_quad<Sum>(running[m][half].sum);
      inverse[m][half] = running[m][half].inverse();
      if (lane_of_warp() % 4 == 0 && own < queries)
        a.lse[range.line * a.shape.queries + own] = running[m][half].lse();
    }
  store_halves<D>(sums, inverse, rows.outputs(a.out), first, queries, query_tile);
}

}  // namespace cfgd
