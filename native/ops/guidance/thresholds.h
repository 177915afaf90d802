// How many elements of an array, or which of them, lie on either side of a threshold. Included only from per-ISA files
// (see cpu/kernel.h).
//
// Arrays are padded to whole vectors: logits with −∞, weights with 0.
#pragma once
#include "cpu/rows.h"

namespace cfgd::CFGD_ISA {
namespace {

/// A float as an integer of the same order, but for −0, which comes just before +0.
inline int32_t key_of(float x) {
  const int32_t bits = static_cast<int32_t>(bits_of(x));
  return bits ^ (bits >> 31 & 0x7fffffff);
}
inline float of_key(int32_t key) { return float_of_bits(static_cast<uint32_t>(key ^ (key >> 31 & 0x7fffffff))); }
inline int32_t middle(int32_t low, int32_t high) {
  return static_cast<int32_t>((static_cast<int64_t>(low) + high) >> 1);
}

inline int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

inline int64_t reduce_count(IVec v) {
  return reduce_lanes<int32_t>(v, [](auto a, auto b) { return a + b; });
}

/// How many of n values are at least t.
inline int64_t count_from(const float* values, int64_t n, float t) {
  IVec count[2] = {};
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes)
    for (int k = 0; k < 2; k++) count[k] -= load(values + i + k * kLanes) >= t;
  for (; i < n; i += kLanes) count[0] -= load(values + i) >= t;
  return reduce_count(count[0] + count[1]);
}

/// The largest of n values that is below t; −∞ if there is none.
inline float next_below(const float* values, int64_t n, float t) {
  const Vec none = broadcast(-INFINITY);
  Vec largest = none;
  for (int64_t i = 0; i < n; i += kLanes) {
    const Vec v = load(values + i);
    largest = max(v < t ? v : none, largest);
  }
  return reduce_max(largest);
}

/// So few elements are told apart one by one, not by halves.
constexpr int64_t kFew = 8;

}  // namespace
}  // namespace cfgd::CFGD_ISA
