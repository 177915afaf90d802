// The forward pass of one head: blocks of kTileRows queries against tiles of keys. Included only from cpu.cpp.
#pragma once
#include "ops/nn/attention/cpu_tiles.h"

namespace cfgd::CFGD_ISA {
namespace {

/// The softmax of one query as it stands after some tiles.
struct Running {
  float highest = -INFINITY;
  float sum = 0;
};

/// Turns the scores of a query for a tile, `width` of them (whole vectors), into weights exp(s − highest), and corrects what
/// has been summed so far to the new maximum.
void weigh(float* scores, int64_t width, Running& running, float* out, int64_t padded) {
  Vec highest = broadcast(running.highest);
  for (int64_t j = 0; j < width; j += kLanes) highest = max(highest, load(scores + j));
  const float now = reduce_max(highest);
  const float shift = now == -INFINITY ? 0 : now;  // all scores −∞ (no key, or an overflow): weights 0, not NaN
  Vec sum = {};
  for (int64_t j = 0; j < width; j += kLanes) {
    const Vec weight = exp_negative(load(scores + j) - shift);
    sum += weight;
    store(scores + j, weight);
  }
  if (now != running.highest && running.sum != 0) {
    const float correction = std::exp(running.highest - shift);
    running.sum *= correction;
    for (int64_t d = 0; d < padded; d += kLanes) store(out + d, load(out + d) * correction);
  }
  running.highest = now;
  running.sum += reduce_add(sum);
}

int64_t forward_floats(const AttentionShape& s) {
  const int64_t keys = rounded_up(s.keys, kKeys), padded = rounded_up(s.head_dim, kLanes);
  return keys * (rounded_up(s.head_dim, 16) + padded) + kTileRows * (2 * padded + kKeys);
}

void forward_head(const AttentionForwardArgs& a, const Head& head, float* out, float* lse, float* memory) {
  const int64_t n = a.shape.head_dim, padded = rounded_up(n, kLanes), count = head.end - head.start;
  const int64_t out_step = a.shape.heads * n;
  float* keys = memory;  // [tiles, n, kKeys]
  float* values = keys + rounded_up(a.shape.keys, kKeys) * rounded_up(n, 16);  // [keys, padded]
  float* queries = values + rounded_up(a.shape.keys, kKeys) * padded;          // [kTileRows, padded]
  float* sums = queries + kTileRows * padded;                                       // [kTileRows, padded]
  float* scores = sums + kTileRows * padded;                                        // [kTileRows, kKeys]
  for (int64_t j = 0; j < count; j += kKeys) {
    const int64_t tile = smaller(kKeys, count - j), first = (head.start + j) * head.kv_step;
    prefetch_rows(head.k + first, head.kv_step, tile, n);
    prefetch_rows(head.v + first, head.kv_step, tile, n);
    pack_transposed(head.k + first, head.kv_step, tile, n, keys + j * n);
    pack_rows(head.v + first, head.kv_step, tile, n, 1, values + j * padded, padded);
  }
  prefetch_rows(head.q, head.q_step, smaller(kTileRows, a.shape.queries), n);
  const float scale = 1 / std::sqrt(static_cast<float>(n));

  for (int64_t i = 0; i < a.shape.queries; i += kTileRows) {
    const int64_t rows = smaller(kTileRows, a.shape.queries - i);
    pack_rows(head.q + i * head.q_step, head.q_step, rows, n, scale, queries, padded);
    prefetch_rows(head.q + (i + rows) * head.q_step, head.q_step, smaller(kTileRows, a.shape.queries - i - rows), n);
    clear(queries + rows * padded, (kTileRows - rows) * padded);
    clear(sums, kTileRows * padded);
    Running running[kTileRows];
    const int64_t last = a.causal ? smaller(count, i + rows - head.start) : count;
    for (int64_t j = 0; j < last; j += kKeys) {
      const int64_t tile = smaller(kKeys, last - j), width = rounded_up(tile, kTileColumns);
      products(n, queries, padded, keys + j * n, width, scores);
      // As many keys for every query of the block, so that the processor foresees the loops' ends.
      const int64_t whole = rounded_up(tile, kLanes);
      for (int64_t r = 0; r < kTileRows; r++)
        hide(scores + r * kKeys, visible(i + r, head.start + j, tile, a.causal), whole);
      for (int64_t r = 0; r < kTileRows; r++)
        weigh(scores + r * kKeys, whole, running[r], sums + r * padded, padded);
      add_products(tile, scores, kKeys, 1, values + j * padded, padded, sums);
    }
    for (int64_t r = 0; r < rows; r++) {
      const bool none = running[r].sum == 0;
      unpack_row(sums + r * padded, n, none ? 0 : 1 / running[r].sum, out + (i + r) * out_step);
      lse[i + r] = none ? -INFINITY : running[r].highest + std::log(running[r].sum);
    }
  }
}

int32_t forward(const AttentionForwardArgs& a, const Parallel& parallel, cfgd_status* status) {
  const AttentionShape& s = a.shape;
  if (!s.rows) return CFGD_OK;  // the other dimensions may then be anything
  if (const int32_t code = check_ranges(a.starts, a.ends, s, status)) return code;
  const int64_t work = s.queries * s.keys * s.head_dim * (a.causal ? 1 : 2);
  return for_each_head(s.rows, s.heads, work, forward_floats(s), parallel, status, [&](int64_t row, int64_t h, float* memory) {
    forward_head(a, head_at(a, row, h), a.out + row * s.queries * s.heads * s.head_dim + h * s.head_dim,
                 a.lse + (row * s.heads + h) * s.queries, memory);
  });
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
