// The backward pass of one head: tiles of keys against blocks of queries. Included only from cpu.cpp.
#pragma once
#include "ops/nn/attention/cpu_tiles.h"

namespace cfgd::CFGD_ISA {
namespace {

/// Queries whose weights are held at once: the depth of the sums for keys and values.
constexpr int64_t kQueries = 48 / kTileRows * kTileRows;

/// Memory of one head. Rows of queries are rounded up to whole tiles, head_dim to whole vectors.
struct BackwardSpace {
  float *queries, *grad_out, *grad_q;     // [queries, padded]; queries times the scale
  float *lse, *delta;                     // [queries]
  float *keys_t, *values_t;               // [head_dim, kKeys] of the tile
  float *keys, *grad_k, *grad_v;          // [kKeys, padded] of the tile
  float *weights, *grad_s;                // [kQueries, kKeys]
  int64_t floats = 0;

  /// Without memory it only counts.
  BackwardSpace(const AttentionShape& s, float* memory) {
    const int64_t padded = rounded_up(s.head_dim, kLanes), queries_up = rounded_up(s.queries, kTileRows);
    const auto take = [&](float*& part, int64_t count) {
      part = memory ? memory + floats : nullptr;
      floats += rounded_up(count, 16);
    };
    take(queries, queries_up * padded);
    take(grad_out, queries_up * padded);
    take(grad_q, queries_up * padded);
    take(lse, queries_up);
    take(delta, queries_up);
    take(keys_t, s.head_dim * kKeys);
    take(values_t, s.head_dim * kKeys);
    take(keys, kKeys * padded);
    take(grad_k, kKeys * padded);
    take(grad_v, kKeys * padded);
    take(weights, kQueries * kKeys);
    take(grad_s, kQueries * kKeys);
  }
};

/// A query's scores and products gradOut · v, for `width` keys (whole vectors), become its weights p and ds, zeros for the
/// keys that it does not see.
void differentiate(float* weights, float* grad_s, int64_t seen, int64_t width, float lse, float delta) {
  hide(weights, seen, width);
  for (int64_t j = 0; j < width; j += kLanes) {
    const Vec p = exp_negative(load(weights + j) - lse);
    store(weights + j, p);
    store(grad_s + j, p * (load(grad_s + j) - delta));
  }
}

void load_queries(const AttentionBackwardArgs& a, const Head& head, const float* out, const float* grad_out,
                  const float* lse, float scale, BackwardSpace& m) {
  const int64_t n = a.shape.head_dim, padded = rounded_up(n, kLanes), out_step = a.shape.heads * n;
  const int64_t count = a.shape.queries, up = rounded_up(count, kTileRows);
  pack_rows(head.q, head.q_step, count, n, scale, m.queries, padded);
  pack_rows(grad_out, out_step, count, n, 1, m.grad_out, padded);
  clear(m.queries + count * padded, (up - count) * padded);
  clear(m.grad_out + count * padded, (up - count) * padded);
  clear(m.grad_q, up * padded);
  for (int64_t i = 0; i < up; i++) {
    // Queries without keys, and those that only fill the last tile, get weights e^−∞ = 0.
    m.lse[i] = i < count && lse[i] != -INFINITY ? lse[i] : INFINITY;
    m.delta[i] = i < count ? reduce_add(dot(m.grad_out + i * padded, out + i * out_step, n)) : 0;
  }
}

void backward_tile(const AttentionBackwardArgs& a, const Head& head, int64_t j, int64_t tile, BackwardSpace& m) {
  const int64_t n = a.shape.head_dim, padded = rounded_up(n, kLanes);
  const int64_t queries = rounded_up(a.shape.queries, kTileRows);
  pack_transposed(head.k + j * head.kv_step, head.kv_step, tile, n, m.keys_t);
  pack_transposed(head.v + j * head.kv_step, head.kv_step, tile, n, m.values_t);
  pack_rows(head.k + j * head.kv_step, head.kv_step, tile, n, 1, m.keys, padded);
  const int64_t key_rows = rounded_up(tile, kTileRows);
  clear(m.grad_k, key_rows * padded);
  clear(m.grad_v, key_rows * padded);
  for (int64_t i = a.causal ? j / kTileRows * kTileRows : 0; i < queries; i += kQueries) {
    const int64_t block = smaller(kQueries, queries - i);
    for (int64_t b = 0; b < block; b += kTileRows) {
      float *weights = m.weights + b * kKeys, *grad_s = m.grad_s + b * kKeys;
      // No further than the last of these queries sees. A block of keys that begins there may end beyond: zeros.
      const int64_t seen = visible(i + b + kTileRows - 1, j, tile, a.causal), width = rounded_up(seen, kTileColumns);
      const int64_t beyond = smaller(kTileColumns, kKeys - width);
      products(n, m.queries + (i + b) * padded, padded, m.keys_t, width, weights);
      products(n, m.grad_out + (i + b) * padded, padded, m.values_t, width, grad_s);
      for (int64_t r = 0; r < kTileRows; r++) {
        differentiate(weights + r * kKeys, grad_s + r * kKeys, visible(i + b + r, j, tile, a.causal), width,
                      m.lse[i + b + r], m.delta[i + b + r]);
        clear(weights + r * kKeys + width, beyond);
        clear(grad_s + r * kKeys + width, beyond);
      }
      add_products(seen, grad_s, kKeys, 1, m.keys, padded, m.grad_q + (i + b) * padded);
    }
    // Rows beyond the tile's keys, up to a whole block of registers, are computed and not used.
    for (int64_t r = 0; r < key_rows; r += kTileRows) {
      // From the first queries that see one of these keys.
      const int64_t first = a.causal ? larger(0, j + r - i) / kTileRows * kTileRows : 0;
      if (first >= block) break;
      const float *weights = m.weights + first * kKeys + r, *grad_s = m.grad_s + first * kKeys + r;
      const int64_t row = (i + first) * padded;
      add_products(block - first, weights, 1, kKeys, m.grad_out + row, padded, m.grad_v + r * padded);
      add_products(block - first, grad_s, 1, kKeys, m.queries + row, padded, m.grad_k + r * padded);
    }
  }
}

void write_rows(const float* in, int64_t rows, int64_t n, float factor, float* out, int64_t out_step) {
  const int64_t padded = rounded_up(n, kLanes);
  for (int64_t r = 0; r < rows; r++) unpack_row(in + r * padded, n, factor, out + r * out_step);
}

int32_t backward(const AttentionBackwardArgs& a, const Parallel& parallel, cfgd_status* status) {
  const AttentionShape& s = a.shape;
  if (!s.rows) return CFGD_OK;  // the other dimensions may then be anything
  if (const int32_t code = check_ranges(a.starts, a.ends, s, status)) return code;
  const int64_t n = s.head_dim, width = s.heads * n, kv_step = a.kv_step;
  const float scale = 1 / std::sqrt(static_cast<float>(n));
  const int64_t work = s.queries * s.keys * n * (a.causal ? 3 : 5);
  const int64_t floats = BackwardSpace(s, nullptr).floats;
  return for_each_head(s.rows, s.heads, work, floats, parallel, status, [&](int64_t row, int64_t h, float* memory) {
    BackwardSpace m(s, memory);
    const Head head = head_at(a, row, h);
    const int64_t first = row * s.queries * width + h * n;
    load_queries(a, head, a.out + first, a.grad_out + first, a.lse + (row * s.heads + h) * s.queries, scale, m);
    float* grad_q = a.grad_q + (head.q - a.q);
    float *grad_k = a.grad_k + (head.k - a.k), *grad_v = a.grad_v + (head.v - a.v);
    for (int64_t j = head.start; j < head.end; j += kKeys) {
      const int64_t tile = smaller(kKeys, head.end - j);
      backward_tile(a, head, j, tile, m);
      write_rows(m.grad_k, tile, n, 1, grad_k + j * kv_step, kv_step);
      write_rows(m.grad_v, tile, n, 1, grad_v + j * kv_step, kv_step);
    }
    write_rows(m.grad_q, s.queries, n, scale, grad_q, a.q_step);
    for (int64_t j = 0; j < s.keys; j++)
      if (j < head.start || j >= head.end) {
        clear(grad_k + j * kv_step, n);
        clear(grad_v + j * kv_step, n);
      }
  });
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
