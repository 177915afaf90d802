// The inner product of matmul and attention: a small block of the result held in registers.
// Included only from per-ISA files.
#pragma once
#include <cstdint>

#include "cpu/simd.h"

namespace cfgd::CFGD_ISA {
namespace {

// Rows and vectors of a block: as many accumulators as leave registers for one row of b and one element of a.
#if defined(__AVX512F__)
constexpr int kTileRows = 12;  // 24 + 2 + 1 of 32
#elif defined(__AVX2__)
constexpr int kTileRows = 6;  // 12 + 2 + 1 of 16
#else
constexpr int kTileRows = 4;  // 8 + 2 + 2 (product and broadcast) of 16
#endif
constexpr int kTileVecs = 2;
constexpr int kTileColumns = kTileVecs * kLanes;

/// sums[r][v] += Σ_k a[r·a_row + k·a_step] · b[k·b_step + v·kLanes …], k rising from 0 to depth − 1: each element is one
/// chain of multiply-adds in the order of k, whatever R and C.
template <int R, int C>
[[gnu::always_inline]] inline void multiply_tile(int64_t depth, const float* __restrict a, int64_t a_row, int64_t a_step,
                                                 const float* __restrict b, int64_t b_step, Vec (&sums)[R][C]) {
  for (int64_t k = 0; k < depth; k++, a += a_step, b += b_step) {
    Vec row[C];
#pragma GCC unroll 8
    for (int v = 0; v < C; v++) row[v] = load(b + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
      for (int v = 0; v < C; v++) sums[r][v] += a[r * a_row] * row[v];
  }
}

/// out[c·out_step + r] = in[r·in_step + c] for r < rows, c < columns: 4 × 4 blocks in registers.
inline void transpose(const float* in, int64_t in_step, int64_t rows, int64_t columns, float* out, int64_t out_step) {
  typedef float Four __attribute__((vector_size(16)));
  typedef Four Loose __attribute__((aligned(4), may_alias));
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float* p = in + r * in_step;
    int64_t c = 0;
    for (; c + 4 <= columns; c += 4) {
      const Four a = *(const Loose*)(p + c), b = *(const Loose*)(p + in_step + c);
      const Four d = *(const Loose*)(p + 2 * in_step + c), e = *(const Loose*)(p + 3 * in_step + c);
      const Four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), AB = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Four de = __builtin_shufflevector(d, e, 0, 4, 1, 5), DE = __builtin_shufflevector(d, e, 2, 6, 3, 7);
      float* q = out + c * out_step + r;
      *(Loose*)q = __builtin_shufflevector(ab, de, 0, 1, 4, 5);
      *(Loose*)(q + out_step) = __builtin_shufflevector(ab, de, 2, 3, 6, 7);
      *(Loose*)(q + 2 * out_step) = __builtin_shufflevector(AB, DE, 0, 1, 4, 5);
      *(Loose*)(q + 3 * out_step) = __builtin_shufflevector(AB, DE, 2, 3, 6, 7);
    }
    for (; c < columns; c++)
      for (int x = 0; x < 4; x++) out[c * out_step + r + x] = p[x * in_step + c];
  }
  for (; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) out[c * out_step + r] = in[r * in_step + c];
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
