// Sums that come out the same whatever the thread count: fixed chunks, combined in a fixed order.
// Included only from per-ISA files.
#pragma once
#include "cpu/scratch.h"
#include "cpu/simd.h"
#include "ops/parallel.h"

namespace cfgd::CFGD_ISA {
namespace {

inline Vec load_some(const float* p, int lanes, float fill) {
  return lanes == kLanes ? load(p) : load_part(p, lanes, fill);
}

inline void store_some(float* p, Vec v, int lanes) { lanes == kLanes ? store(p, v) : store_part(p, v, lanes); }

/// Calls body(i, lanes) for every vector of [begin, end); only the last may have fewer than kLanes lanes.
template <class Body>
inline void for_vectors(int64_t begin, int64_t end, const Body& body) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) body(i, kLanes);
  if (i < end) body(i, static_cast<int>(end - i));
}

/// Σ over [0, n) of body(i, lanes), vectors whose lanes past `lanes` must be 0. Float within chunks of 512 elements,
/// double across, so that the error does not grow with n.
template <class Body>
inline double lane_sum(int64_t n, const Body& body) {
  constexpr int64_t kChunk = 512;
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kChunk) {
    const int64_t end = begin + kChunk < n ? begin + kChunk : n;
    Vec sum = {};
    for_vectors(begin, end, [&](int64_t i, int lanes) { sum += body(i, lanes); });
    total += reduce_add(sum);
  }
  return total;
}

/// out[j] = Σ over chunks of partials[chunk · stride + j], in the order of the chunks and in double.
inline void combine_chunks(const float* partials, int64_t chunks, int64_t stride, float* out, int64_t n,
                           const Parallel& parallel) {
  constexpr int64_t kBlock = 64;
  parallel(n, (int64_t{32768} / (chunks + 1) / kBlock + 1) * kBlock, [&](int64_t begin, int64_t end) {
    double sums[kBlock];
    for (int64_t j = begin; j < end; j += kBlock) {
      const int64_t width = j + kBlock < end ? kBlock : end - j;
      for (int64_t k = 0; k < width; k++) sums[k] = 0;
      for (int64_t c = 0; c < chunks; c++) {
        const float* row = partials + c * stride + j;
        for (int64_t k = 0; k < width; k++) sums[k] += row[k];
      }
      for (int64_t k = 0; k < width; k++) out[j + k] = static_cast<float>(sums[k]);
    }
  });
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
