// Writing the key/value cache, and attention of one new query per row to it. Included only from cpu.cpp.
#pragma once
#include "ops/nn/attention/cpu_tiles.h"

namespace cfgd::CFGD_ISA {
namespace {

/// The even, and the odd, elements of a followed by b.
inline Vec evens(Vec a, Vec b) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
#elif defined(__AVX2__)
  return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
#else
  return __builtin_shufflevector(a, b, 0, 2, 4, 6);
#endif
}
inline Vec odds(Vec a, Vec b) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#elif defined(__AVX2__)
  return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
#else
  return __builtin_shufflevector(a, b, 1, 3, 5, 7);
#endif
}

/// Element i is the sum of sums[i]. Overwrites its argument.
inline Vec sum_each(Vec (&sums)[kLanes]) {
#pragma GCC unroll 4
  for (int n = kLanes; n > 1; n /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < n / 2; i++)
      sums[i] = evens(sums[2 * i], sums[2 * i + 1]) + odds(sums[2 * i], sums[2 * i + 1]);
  return sums[0];
}

/// scores[j] = query · keys[j] for j < count; the query is padded with zeros to whole vectors. Writes whole vectors.
void score(const float* query, const float* keys, int64_t count, int64_t n, float* scores) {
  for (int64_t j = 0; j < count; j += kLanes) {
    Vec sums[kLanes] = {};
    const int lines = static_cast<int>(smaller(kLanes, count - j));
    for (int i = 0; i < lines; i++) sums[i] = dot(query, keys + (j + i) * n, n);
    store(scores + j, sum_each(sums));
  }
}

template <int C>
[[gnu::always_inline]] inline void mix_columns(int64_t count, const float* weights, const float* values, int64_t n,
                                               float inverse, float* out) {
  Vec sums[1][C] = {};
  multiply_tile<1, C>(count, weights, 0, 1, values, n, sums);
#pragma GCC unroll 4
  for (int v = 0; v < C; v++) store(out + v * kLanes, sums[0][v] * inverse);
}

/// out = Σ_j weights[j] · values[j] · inverse.
void mix(int64_t count, const float* weights, const float* values, int64_t n, float inverse, float* out) {
  int64_t d = 0;
  for (; d + 4 * kLanes <= n; d += 4 * kLanes) mix_columns<4>(count, weights, values + d, n, inverse, out + d);
  for (; d + 2 * kLanes <= n; d += 2 * kLanes) mix_columns<2>(count, weights, values + d, n, inverse, out + d);
  for (; d + kLanes <= n; d += kLanes) mix_columns<1>(count, weights, values + d, n, inverse, out + d);
  for (; d < n; d++) {
    float sum = 0;
    for (int64_t j = 0; j < count; j++) sum += weights[j] * values[j * n + d];
    out[d] = sum * inverse;
  }
}

void attend(const float* query, const float* keys, const float* values, int64_t count, int64_t n, float* scores,
            float* out) {
  if (count <= 0) return clear(out, n);
  score(query, keys, count, n, scores);
  const int64_t width = rounded_up(count, kLanes);
  for (int64_t j = count; j < width; j++) scores[j] = -INFINITY;
  Vec highest = broadcast(-INFINITY);
  for (int64_t j = 0; j < width; j += kLanes) highest = max(highest, load(scores + j));
  const float now = reduce_max(highest), shift = now == -INFINITY ? 0 : now;
  Vec sum = {};
  for (int64_t j = 0; j < width; j += kLanes) {
    const Vec weight = exp(load(scores + j) - shift);
    sum += weight;
    store(scores + j, weight);
  }
  const float total = reduce_add(sum);
  mix(count, scores, values, n, total == 0 ? 0 : 1 / total, out);
}

/// The query, key and value of one head at one position of packed tensors.
struct Packed {
  const float *q, *k, *v;
};

Packed packed_at(const QkvShape& s, const float* qkv, int64_t row, int64_t position, int64_t head) {
  const int64_t width = s.heads * s.head_dim;
  const float* q = qkv + (row * s.positions + position) * 3 * width + head * s.head_dim;
  return {q, q + width, q + 2 * width};
}

int32_t cache_write(const CacheWriteArgs& a, const Parallel& parallel, cfgd_status* status) {
  const QkvShape& s = a.shape;
  const int64_t position = *a.position, n = s.head_dim;
  if (position < 0 || position + s.positions > a.capacity)
    return cfgd_fail(status, CFGD_VALUE, "position", "expected %lld position(s) from %lld on within the capacity of %lld",
                     static_cast<long long>(s.positions), static_cast<long long>(position),
                     static_cast<long long>(a.capacity));
  const int64_t values = s.rows * s.heads * a.capacity * n;
  parallel(s.rows * s.heads, (int64_t{1} << 15) / larger(s.positions * n, 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      float* cache = a.cache + (i * a.capacity + position) * n;
      for (int64_t p = 0; p < s.positions; p++) {
        const Packed head = packed_at(s, a.qkv, i / s.heads, p, i % s.heads);
        std::memcpy(cache + p * n, head.k, sizeof(float) * n);
        std::memcpy(cache + values + p * n, head.v, sizeof(float) * n);
      }
    }
  });
  return CFGD_OK;
}

int32_t decode(const AttentionDecodeArgs& a, const Parallel& parallel, cfgd_status* status) {
  const QkvShape& s = a.shape;
  const int64_t position = *a.position, n = s.head_dim, padded = rounded_up(n, kLanes);
  if (position < 0 || position >= a.capacity)
    return cfgd_fail(status, CFGD_VALUE, "position", "expected 0 to capacity - 1 = %lld, got %lld",
                     static_cast<long long>(a.capacity - 1), static_cast<long long>(position));
  for (int64_t r = 0; r < s.rows; r++)
    if (a.starts[r] < 0)
      return cfgd_fail(status, CFGD_VALUE, "starts", "expected at least 0 in row %lld, got %d", static_cast<long long>(r),
                       a.starts[r]);
  const float scale = 1 / std::sqrt(static_cast<float>(n));
  const int64_t values = s.rows * s.heads * a.capacity * n, work = 2 * (position + 1) * n + 200;
  return for_each_head(s.rows, s.heads, work, padded + rounded_up(position + 1, kLanes), parallel, status,
                       [&](int64_t row, int64_t h, float* memory) {
                         const Packed head = packed_at(s, a.qkv, row, 0, h);
                         float* keys = a.cache + (row * s.heads + h) * a.capacity * n;
                         std::memcpy(keys + position * n, head.k, sizeof(float) * n);
                         std::memcpy(keys + values + position * n, head.v, sizeof(float) * n);
                         pack_rows(head.q, n, 1, n, scale, memory, padded);
                         const int64_t start = a.starts[row];
                         attend(memory, keys + start * n, keys + values + start * n, position + 1 - start, n,
                                memory + padded, a.out + (row * s.heads + h) * n);
                       });
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
