// What the forward and backward passes share: one head's view of its tensors, packing, and products over tiles of keys.
// Included only from cpu.cpp.
#pragma once
#include "cpu/exp_negative.h"
#include "cpu/kernel.h"
#include "cpu/scratch.h"
#include "cpu/tile.h"
#include "ops/nn/attention/attention.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kKeys = 96;  // per tile: whole blocks of registers in both directions, of every instruction set
static_assert(kKeys % kTileRows == 0 && kKeys % kTileColumns == 0);

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
int64_t rounded_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

/// A head of one row; position i lies a step after position i − 1.
struct Head {
  const float *q, *k, *v;
  int64_t q_step, kv_step;
  int64_t start, end;  // of the keys
};

template <class Args>
Head head_at(const Args& a, int64_t row, int64_t head) {
  const AttentionShape& s = a.shape;
  const int64_t q = row * s.queries * a.q_step + head * s.head_dim, kv = row * s.keys * a.kv_step + head * s.head_dim;
  return {a.q + q,   a.k + kv,      a.v + kv,
          a.q_step,  a.kv_step,     a.starts[row],
          larger(a.ends[row], a.starts[row])};
}

void clear(float* p, int64_t n) { std::memset(p, 0, sizeof(float) * n); }

/// Asks for rows of `n` numbers early: the heads' rows lie far apart, which the processor's own prefetching misses.
void prefetch_rows(const float* in, int64_t in_step, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t d = 0; d < n; d += 16) __builtin_prefetch(in + r * in_step + d);
}

/// Rows of `n` numbers, times `factor`, into rows of `padded` = n up to whole vectors, with zeros at their ends.
void pack_rows(const float* in, int64_t in_step, int64_t rows, int64_t n, float factor, float* out, int64_t padded) {
  for (int64_t r = 0; r < rows; r++, in += in_step, out += padded) {
    int64_t d = 0;
    for (; d + kLanes <= n; d += kLanes) store(out + d, load(in + d) * factor);
    if (d < n) store(out + d, load_part(in + d, static_cast<int>(n - d), 0) * factor);
  }
}

/// The reverse of one row: n numbers times `factor`.
void unpack_row(const float* in, int64_t n, float factor, float* out) {
  int64_t d = 0;
  for (; d + kLanes <= n; d += kLanes) store(out + d, load(in + d) * factor);
  if (d < n) store_part(out + d, load(in + d) * factor, static_cast<int>(n - d));
}

/// Sum over whole vectors: padded [n up to whole vectors, then zeros] times x [n], not yet added up across lanes.
inline Vec dot(const float* padded, const float* x, int64_t n) {
  Vec sum = {};
  int64_t d = 0;
  for (; d + kLanes <= n; d += kLanes) sum += load(padded + d) * load(x + d);
  if (d < n) sum += load(padded + d) * load_part(x + d, static_cast<int>(n - d), 0);
  return sum;
}

/// A tile of keys, transposed: [n, kKeys], zeros beyond `keys` up to whole register tiles.
void pack_transposed(const float* in, int64_t in_step, int64_t keys, int64_t n, float* out) {
  transpose(in, in_step, keys, n, out, kKeys);
  const int64_t width = rounded_up(keys, kTileColumns);
  if (keys < width)
    for (int64_t d = 0; d < n; d++)
      for (int64_t j = keys; j < width; j++) out[d * kKeys + j] = 0;
}

/// out[r, j] = Σ_d a[r, d] · b[d, j] for kTileRows rows and `width` columns (whole tiles); rows of out are kKeys apart.
void products(int64_t depth, const float* a, int64_t a_row, const float* b, int64_t width, float* out) {
  for (int64_t j = 0; j < width; j += kTileColumns) {
    Vec sums[kTileRows][kTileVecs] = {};
    multiply_tile<kTileRows, kTileVecs>(depth, a, a_row, 1, b + j, kKeys, sums);
#pragma GCC unroll 16
    for (int r = 0; r < kTileRows; r++)
#pragma GCC unroll 4
      for (int v = 0; v < kTileVecs; v++) store(out + r * kKeys + j + v * kLanes, sums[r][v]);
  }
}

template <int C>
[[gnu::always_inline]] inline void add_columns(int64_t depth, const float* a, int64_t a_row, int64_t a_step,
                                               const float* b, int64_t b_step, float* out) {
  Vec sums[kTileRows][C];
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < C; v++) sums[r][v] = load(out + r * b_step + v * kLanes);
  multiply_tile<kTileRows, C>(depth, a, a_row, a_step, b, b_step, sums);
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < C; v++) store(out + r * b_step + v * kLanes, sums[r][v]);
}

/// out[r, d] += Σ_j a[r, j] · b[j, d] for kTileRows rows and `width` columns (whole vectors); out has b's row length.
void add_products(int64_t depth, const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t width,
                  float* out) {
  int64_t d = 0;
  for (; d + kTileColumns <= width; d += kTileColumns)
    add_columns<kTileVecs>(depth, a, a_row, a_step, b + d, width, out + d);
  for (; d < width; d += kLanes) add_columns<1>(depth, a, a_row, a_step, b + d, width, out + d);
}

/// The first `count` elements, −∞ in the place of the others.
inline Vec only_first(Vec v, int64_t count) {
  IVec index;
  for (int i = 0; i < kLanes; i++) index[i] = i;
  return index < static_cast<int32_t>(count) ? v : broadcast(-INFINITY);
}

/// The scores of keys that a query does not see, from `seen` to `width` (whole vectors), become −∞.
void hide(float* scores, int64_t seen, int64_t width) {
  for (int64_t j = seen / kLanes * kLanes; j < width; j += kLanes)
    store(scores + j, only_first(load(scores + j), seen - j));
}

/// How many keys of the tile that begins at key j query i may see.
int64_t visible(int64_t i, int64_t j, int64_t keys, bool causal) {
  return causal ? larger(0, smaller(keys, i + 1 - j)) : keys;
}

int32_t check_ranges(const int32_t* starts, const int32_t* ends, const AttentionShape& s, cfgd_status* status) {
  for (int64_t r = 0; r < s.rows; r++) {
    const bool bad_start = starts[r] < 0 || starts[r] > s.keys;
    if (bad_start || ends[r] < 0 || ends[r] > s.keys)
      return cfgd_fail(status, CFGD_VALUE, bad_start ? "starts" : "ends", "expected 0 to positions = %lld in row %lld, got %d",
                       static_cast<long long>(s.keys), static_cast<long long>(r), bad_start ? starts[r] : ends[r]);
  }
  return CFGD_OK;
}

/// Calls body(row, head, memory) for every head of every row, with `floats` of scratch memory for each thread.
template <class Body>
int32_t for_each_head(int64_t rows, int64_t heads, int64_t work_per_head, int64_t floats, const Parallel& parallel,
                      cfgd_status* status, const Body& body) {
  constexpr int64_t kWorkPerTask = int64_t{1} << 19;  // multiply-adds; some 20 µs
  bool failed = false;
  parallel(rows * heads, kWorkPerTask / larger(work_per_head, 1) + 1, [&](int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    float* memory;
    try {
      memory = scratch.get<float>(floats);
    } catch (const std::bad_alloc&) {
      __atomic_store_n(&failed, true, __ATOMIC_RELAXED);  // no exception may leave a task
      return;
    }
    for (int64_t i = begin; i < end; i++) body(i / heads, i % heads, memory);
  });
  return failed ? cfgd_fail(status, CFGD_MEMORY, "", "out of memory for the scratch space of attention") : CFGD_OK;
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
