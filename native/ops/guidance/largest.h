// The k largest of an array without a sort: a threshold is narrowed down by counting what lies above it. Included only
// from per-ISA files (see cpu/kernel.h).
#pragma once
#include "ops/guidance/compact.h"
#include "ops/guidance/thresholds.h"

namespace cfgd::CFGD_ISA {
namespace {

struct Cut {
  float at;
  int64_t count;  // how many are at least that
};

/// The highest threshold that it happens on of which at least k of n values, and no more than `most`, are at least that;
/// if ties allow none, the k-th largest value. 1 ≤ k; no value is above `largest`. Fewer than k values: −∞.
inline Cut cut_at(const float* values, int64_t n, float largest, int64_t k, int64_t most) {
  Cut low{-INFINITY, n};
  int32_t high = key_of(largest + 0.0f) + 1;  // fewer than k from here on
  int64_t high_count = 0;
  for (int round = 0; low.count > most && static_cast<int64_t>(high) - key_of(low.at) > 1; round++) {
    // Halves the distance of the values at first, then that of their keys, which ends after 32 rounds.
    const int32_t from = key_of(low.at);
    int32_t key = middle(from, high);
    if (round < 12 && low.at > -INFINITY) {
      const int32_t near = key_of(0.5f * low.at + 0.5f * of_key(high));
      if (near > from && near < high) key = near;
    }
    if (low.count - high_count <= kFew) {
      const float next = next_below(values, n, of_key(high));
      if (next <= low.at) break;
      key = key_of(next);
    }
    const float t = of_key(key);
    const int64_t count = count_from(values, n, t);
    if (count >= k)
      low = {t, count};
    else
      high = key, high_count = count;
  }
  return low;
}

/// Moves the k largest of n values to the front, in their order and with their tokens; of equal ones the first stay.
/// Returns how many there are: k, or n where that is less. Both arrays have room for kLanes more.
inline int64_t keep_largest(float* values, int32_t* tokens, int64_t n, float largest, int64_t k) {
  if (n <= k) return n;
  const Cut cut = cut_at(values, padded(n), largest, k, k);
  if (cut.count == k) {
    Found kept{values, {tokens}};
    for (int64_t i = 0; i < padded(n); i += kLanes) {
      const Vec v = load(values + i);
      kept.add(v, load_places(tokens + i), v >= cut.at);
    }
    return k;
  }
  int64_t ties = k;
  for (int64_t i = 0; i < n; i++) ties -= values[i] > cut.at;
  int64_t kept = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!(values[i] >= cut.at) || (values[i] == cut.at && ties-- <= 0)) continue;
    values[kept] = values[i];
    tokens[kept++] = tokens[i];
  }
  return kept;
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
