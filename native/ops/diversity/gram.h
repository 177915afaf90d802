// Scalar products between rows, many at a time. Included only from per-ISA files (see cpu/kernel.h).
//
// A product of rows is summed in float, lane by lane, over parts of kPart elements, and in double across parts. Every
// product goes through the same chain of multiply-adds, whichever tile computes it: equal rows have exactly equal
// products. Of Σ |a_k b_k|, each of the 32 additions in a lane can cost 2⁻²⁴, and so can the lanes' sum:
// |error| ≤ 37 · 2⁻²⁴ Σ |a_k b_k| (AVX2) ≤ 2.3e-6 |a| |b| however long the rows; some 1e-7 in practice.
#pragma once
#include "cpu/prefetch.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kPart = 32 * kLanes;

// Rows of a tile, and at most as many others: the accumulators fill the registers.
constexpr int kTileRows = 4, kTileOthers = 3;

/// totals[r · stride + c] += Σ_k a[r · step + k] · b[c · step + k], k < n ≤ kPart; with `diagonal`, where b is a, only
/// c ≥ r. Meanwhile `ahead` is followed, a step for each vector.
template <int R, int C, bool diagonal>
void add_products(const float* a, const float* b, int64_t step, int64_t n, double* totals, int64_t stride,
                  Trail& ahead) {
  Vec sums[R][C] = {};
  Trail trail = ahead;
  const auto add = [&](const auto& get) {
    Vec x[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) x[r] = get(a + r * step);
#pragma GCC unroll 4
    for (int c = 0; c < C; c++) {
      const Vec y = diagonal ? x[c < R ? c : 0] : get(b + c * step);
#pragma GCC unroll 4
      for (int r = 0; r < R; r++)
        if (!diagonal || c >= r) sums[r][c] += x[r] * y;
    }
  };
  int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes) {
    trail.step();
    add([&](const float* p) { return load(p + k); });
  }
  ahead = trail;
  if (k < n) add([&](const float* p) { return load_part(p + k, static_cast<int>(n - k), 0); });
#pragma GCC unroll 4
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int c = 0; c < C; c++)
      if (!diagonal || c >= r) totals[r * stride + c] += reduce_add(sums[r][c]);
}

/// The products of `R` rows with themselves and with all that follow.
template <int R>
void add_line(const float* rows, int64_t step, int64_t count, int64_t n, double* totals, int64_t stride,
              Trail& ahead) {
  add_products<R, R, true>(rows, rows, step, n, totals, stride, ahead);
  for (int64_t c = R; c < count;) {
    const int64_t left = count - c;
    const float* others = rows + c * step;
    if (left == 1) {
      add_products<R, 1, false>(rows, others, step, n, totals + c, stride, ahead);
      c += 1;
    } else if (left == 2 || left == 4) {
      add_products<R, 2, false>(rows, others, step, n, totals + c, stride, ahead);
      c += 2;
    } else {
      add_products<R, kTileOthers, false>(rows, others, step, n, totals + c, stride, ahead);
      c += kTileOthers;
    }
  }
}

/// How many tiles cover the products of `lines` rows with themselves and all that follow, `count` in all.
inline int64_t tiles_of(int64_t count, int64_t lines) {
  int64_t tiles = 0;
  for (int64_t i = 0; i < lines; i += kTileRows) {
    const int64_t others = count - i - kTileRows;
    tiles += 1 + (others > 0 ? (others + kTileOthers - 1) / kTileOthers : 0);
  }
  return tiles;
}

/// totals[i · stride + j] = Σ_k rows[i · n + k] · rows[j · n + k] for i < lines and i ≤ j < count, where all `count` rows
/// follow each other. What is left of the diagonal is undefined. Meanwhile the `ahead_bytes` from `ahead` on are fetched.
inline void products(const float* rows, int64_t count, int64_t lines, int64_t n, double* totals, int64_t stride,
                     const void* ahead = nullptr, int64_t ahead_bytes = 0) {
  Trail trail(ahead, ahead_bytes, tiles_of(count, lines) * (n / kLanes));
  std::memset(totals, 0, sizeof(double) * static_cast<uint64_t>(lines * stride));
  for (int64_t k = 0; k < n; k += kPart) {
    const int64_t part = k + kPart < n ? kPart : n - k;
    for (int64_t i = 0; i < lines; i += kTileRows) {
      const float* at = rows + i * n + k;
      double* to = totals + i * stride + i;
      switch (lines - i) {
        case 1: add_line<1>(at, n, count - i, part, to, stride, trail); break;
        case 2: add_line<2>(at, n, count - i, part, to, stride, trail); break;
        case 3: add_line<3>(at, n, count - i, part, to, stride, trail); break;
        default: add_line<4>(at, n, count - i, part, to, stride, trail);
      }
    }
  }
}

/// Σ a_k b_k in double, for rows whose products float32 cannot hold; those of floats are exact there.
inline double exact_product(const float* a, const float* b, int64_t n) {
  constexpr int kSums = 8;
  double sums[kSums] = {};
  int64_t k = 0;
  for (; k + kSums <= n; k += kSums)
    for (int s = 0; s < kSums; s++) sums[s] += static_cast<double>(a[k + s]) * b[k + s];
  for (int s = 0; k < n; k++, s++) sums[s] += static_cast<double>(a[k]) * b[k];
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

/// As `products`, in double.
inline void exact_products(const float* rows, int64_t count, int64_t lines, int64_t n, double* totals, int64_t stride) {
  for (int64_t i = 0; i < lines; i++)
    for (int64_t j = i; j < count; j++) totals[i * stride + j] = exact_product(rows + i * n, rows + j * n, n);
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
