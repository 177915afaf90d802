// Attention, backward, on tensor cores: the two kernels of backward.cuh for bfloat16, with float32 sums; weights and
// their gradients are rounded to bfloat16 between products, and never leave the registers. With two stages a tile is on
// its way while the one before is computed with. Device code.
#pragma once
#include <cuda_runtime.h>

#include "cuda/launch.cuh"
#include "ops/nn/attention/forward.cuh"
#include "ops/nn/attention/fragments.cuh"

namespace cfgd {

constexpr int kMmaRows = 64;  // 16 per warp

template <int D, int kColumns, int kStages>
constexpr size_t kBackwardMmaBytes =
    sizeof(bf16) * 2 * (kMmaRows + kStages * kColumns) * kHalfLine<D> + sizeof(float) * 2 * kStages * kColumns;

/// What streams: a tile of queries and one of gradOut, with −lse and δ of their rows; or keys and values.
template <int D, int kColumns>
struct HalfTiles {
  Rows<const bf16> rows, rows_beside;
  const float *lse, *delta;  // null for keys
  int end;
  bf16* tiles;    // [stages, 2, kColumns, line]
  float* numbers;  // [stages, 2, kColumns]

  __device__ bf16* tile(int stage, bool beside) const {
    return tiles + (2 * stage + beside) * kColumns * kHalfLine<D>;
  }
  __device__ float* shifts(int stage) const { return numbers + 2 * stage * kColumns; }
  __device__ float* deltas(int stage) const { return shifts(stage) + kColumns; }

  /// Starts to load rows j … into a stage.
  __device__ void start(int j, int stage) const {
    load_halves<kColumns, D>(rows, j, j, end, tile(stage, false));
    load_halves<kColumns, D>(rows_beside, j, j, end, tile(stage, true));
    const int c = static_cast<int>(threadIdx.x);
    static_assert(kColumns <= kTileThreads);
    if (!lse || c >= kColumns) return;
    shifts(stage)[c] = j + c < end ? shift_of_lse(lse[j + c]) : INFINITY;
    deltas(stage)[c] = j + c < end ? delta[j + c] : 0.0f;
  }
};

/// δ of row group and row group + 8 of the warp, from a tile of gradOut; also into `delta`.
template <int D>
__device__ void sum_delta_halves(const bf16* grad_out, const Rows<const bf16>& out, int first, int queries, float* delta,
                                 float (&sums)[2]) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int own = warp_of_block() * 16 + half * 8 + lane_of_warp() / 4;
    float sum = 0;
    if (first + own < queries) {
      const bf16* line = out.at(first + own);
      for (int d = lane_of_warp() % 4 * 8; d < out.n; d += 32) {
        float x[8], g[8];
        load_pack(grad_out + own * kHalfLine<D> + d, g);
        if (out.wide) {
          load_pack(line + d, x);
        } else {
#pragma unroll
          for (int e = 0; e < 8; e++) x[e] = d + e < out.n ? widened(line[d + e]) : 0.0f;
        }
#pragma unroll
        for (int e = 0; e < 8; e++) sum = fmaf(g[e], x[e], sum);
      }
    }
    sums[half] = reduce_quad<Sum>(sum);
    if (lane_of_warp() % 4 == 0 && first + own < queries) delta[first + own] = sums[half];
  }
}

/// kOfKeys false: gradQ and δ of 64 queries. true: gradK and gradV of 64 keys.
template <int D, int kColumns, int kStages, bool kOfKeys>
__global__ void __launch_bounds__(kTileThreads, 1) differentiate_halves(AttentionBackward<bf16> a, Wide wide,
                                                                       FaultPort port) {
  constexpr int kTiles = kColumns / 8;
  CFGD_DYNAMIC_SHARED(bf16, memory);
  if (skipped(port)) return;
  const int64_t lines = a.shape.rows * a.shape.heads;
  HeadRange range;
  const int64_t place = kOfKeys ? blockIdx.x : gridDim.x - 1 - blockIdx.x;  // the longest first
  if (!range_of(a, place % lines, port, range)) return;
  const HeadRows<AttentionBackward<bf16>> rows{a, range, wide};
  const int first = static_cast<int>(place / lines) * kMmaRows, mine = first + warp_of_block() * 16;
  const int queries = static_cast<int>(a.shape.queries), keys = static_cast<int>(a.shape.keys);
  const float* lse = a.lse + range.line * a.shape.queries;
  float* delta = a.delta + range.line * a.shape.queries;
  const int row = lane_of_warp() / 4, column = lane_of_warp() % 4 * 2;

  // Queries go with gradOut, keys with values.
  bf16* own = memory;
  bf16* own_beside = own + kMmaRows * kHalfLine<D>;
  bf16* others = own_beside + kMmaRows * kHalfLine<D>;
  float* numbers = reinterpret_cast<float*>(others + kStages * 2 * kColumns * kHalfLine<D>);
  // Queries before a key do not see it.
  const int begin = kOfKeys ? (range.causal ? first / kColumns * kColumns : 0) : range.start;
  const int end = kOfKeys ? (first < range.end && first + kMmaRows > range.start ? queries : 0)
                          : range.end_before(first + kMmaRows);
  const HalfTiles<D, kColumns> other =
      kOfKeys ? HalfTiles<D, kColumns>{rows.queries(a.q), rows.outputs(a.grad_out), lse, delta, end, others, numbers}
              : HalfTiles<D, kColumns>{rows.keys(a.k), rows.keys(a.v), nullptr, nullptr, end, others, numbers};
  if (kOfKeys) {
    load_halves<kMmaRows, D>(rows.keys(a.k), first, range.start, range.end, own);
    load_halves<kMmaRows, D>(rows.keys(a.v), first, range.start, range.end, own_beside);
  } else {
    load_halves<kMmaRows, D>(rows.queries(a.q), first, 0, queries, own);
    load_halves<kMmaRows, D>(rows.outputs(a.grad_out), first, 0, queries, own_beside);
  }
  if (kStages == 2 && begin < end) other.start(begin, 0);
  float own_shift[2] = {0, 0}, own_delta[2] = {0, 0};
  if (!kOfKeys) {
    await_loads();
    __syncthreads();
    sum_delta_halves<D>(own_beside, rows.outputs(a.out), first, queries, delta, own_delta);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int query = mine + half * 8 + row;
      own_shift[half] = query < queries ? shift_of_lse(lse[query]) : INFINITY;
    }
  }

  float grads[1][D / 8][4] = {}, grads_beside[1][D / 8][4] = {};
  const float factor = score_factor(a.shape.head_dim);
  for (int j = begin, stage = 0; j < end; j += kColumns) {
    if (kStages == 1) {
      __syncthreads();  // the last tile has been read
      other.start(j, 0);
    }
    await_loads();
    __syncthreads();  // the tile is there; of two stages, the other one has been read
    if (kStages == 2 && j + kColumns < end) other.start(j + kColumns, stage ^ 1);
    const bool whole = kOfKeys ? range.all_seen(j, mine, mine + 16) : range.all_seen(mine, j, j + kColumns);
    float weights[1][kTiles][4], grad_weights[1][kTiles][4];
    multiply_halves<D>(own, other.tile(stage, false), weights);
    multiply_halves<D>(own_beside, other.tile(stage, true), grad_weights);
#pragma unroll
    for (int t = 0; t < kTiles; t++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int c = t * 8 + column + i % 2, own_at = mine + i / 2 * 8 + row, other_at = j + c;
        const bool seen = whole || (kOfKeys ? range.sees(other_at, own_at) : range.sees(own_at, other_at));
        const float shift = kOfKeys ? other.shifts(stage)[c] : own_shift[i / 2];
        const float difference = grad_weights[0][t][i] - (kOfKeys ? other.deltas(stage)[c] : own_delta[i / 2]);
        const float weight = seen ? fast_exp2(fmaf(weights[0][t][i], factor, -shift)) : 0.0f;
        weights[0][t][i] = weight;
        grad_weights[0][t][i] = weight * difference;
      }
    add_mixed_halves<D>(grad_weights, other.tile(stage, false), grads);
    if (kOfKeys) add_mixed_halves<D>(weights, other.tile(stage, true), grads_beside);
    stage ^= kStages - 1;
  }

  await_loads();
  __syncthreads();
  const float scale[1][2] = {{factor * kLn2, factor * kLn2}}, one[1][2] = {{1, 1}};
  if (kOfKeys) {
    store_halves<D>(grads, scale, rows.keys(a.grad_k), first, keys, own);
    store_halves<D>(grads_beside, one, rows.keys(a.grad_v), first, keys, own_beside);
  } else {
    store_halves<D>(grads, scale, rows.queries(a.grad_q), first, queries, own);
  }
}

}  // namespace cfgd
