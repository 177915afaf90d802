// Selections without a sort: the k largest of an array, and the largest of an array of weights that together reach a
// mass. Both narrow a threshold down by counting, or summing, what lies above it. Included only from per-ISA files (see
// cpu/kernel.h).
//
// Arrays are padded to whole vectors: logits with −∞, weights with 0.
#pragma once
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "cpu/rows.h"
#include "cpu/scratch.h"

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
  int64_t sum = 0;
  for (int i = 0; i < kLanes; i++) sum += v[i];
  return sum;
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

/// A bit per lane of a comparison's result, the first lane's lowest.
inline uint32_t bits_of_mask(IVec mask) {
#if defined(__AVX512DQ__)
  return _mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX__)
  return static_cast<uint32_t>(_mm256_movemask_ps((__m256)mask));
#elif defined(__SSE2__)
  return static_cast<uint32_t>(_mm_movemask_ps((__m128)mask));
#else
  uint32_t bits = 0;
  for (int i = 0; i < kLanes; i++) bits |= (static_cast<uint32_t>(mask[i]) & 1) << i;
  return bits;
#endif
}

/// Calls body(i) for the elements of [0, n), n a multiple of 64, for whose vectors test(vector) is true.
template <class Test, class Body>
inline void for_each_where(const float* values, int64_t n, const Test& test, const Body& body) {
  for (int64_t i = 0; i < n; i += 64) {
    uint64_t bits = 0;
    for (int64_t k = 0; k < 64; k += kLanes)
      bits |= static_cast<uint64_t>(bits_of_mask(test(load(values + i + k)))) << k;
    for (; bits; bits &= bits - 1) body(i + __builtin_ctzll(bits));
  }
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
/// Returns how many there are: k, or n where that is less.
inline int64_t keep_largest(float* values, int32_t* tokens, int64_t n, float largest, int64_t k) {
  if (n <= k) return n;
  const Cut cut = cut_at(values, padded(n), largest, k, k);
  int64_t ties = cut.count == k ? k : 0;
  if (cut.count != k) {
    ties = k;
    for (int64_t i = 0; i < n; i++) ties -= values[i] > cut.at;
  }
  int64_t kept = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!(values[i] >= cut.at) || (cut.count != k && values[i] == cut.at && ties-- <= 0)) continue;
    values[kept] = values[i];
    tokens[kept++] = tokens[i];
  }
  return kept;
}

/// What of an array of weights lies at or above a threshold.
struct Above {
  double mass;
  int64_t count;
};

/// For two thresholds at once, of the vectors that lie `stride` apart; n is a multiple of kLanes. Floats are added up in
/// turn no more than 32 at a time.
inline void above(const float* weights, int64_t n, int64_t stride, const float (&at)[2], Above (&result)[2]) {
  constexpr int64_t kTurns = 32;
  const Vec first = broadcast(at[0]), second = broadcast(at[1]);
  const int64_t step = stride * kLanes;
  double mass[2] = {};
  IVec count[2] = {};
  for (int64_t i = 0; i < n;) {
    Vec sum[2][2] = {};
    const auto visit = [&](int64_t where, int64_t parity) {
      const Vec w = load(weights + where);
      const IVec over[2] = {w >= first, w >= second};
      for (int k = 0; k < 2; k++) {
        sum[k][parity] += as_float(as_int(w) & over[k]);
        count[k] -= over[k];
      }
    };
    for (int64_t turn = 0; turn < kTurns && n - i > step; turn++, i += 2 * step) visit(i, 0), visit(i + step, 1);
    if (i < n && n - i <= step) visit(i, 0), i = n;
    for (int k = 0; k < 2; k++) mass[k] += reduce_add(sum[k][0] + sum[k][1]);
  }
  for (int k = 0; k < 2; k++) result[k] = {mass[k], reduce_count(count[k])};
}

/// Thresholds between which the one lies at which a mass is reached: at least the mass from `low`, less from `high`.
/// As keys, which for weights are their bits.
struct Bracket {
  int32_t low, high;
  Above from_low, from_high;

  int64_t count() const { return from_low.count - from_high.count; }
  bool narrow(int64_t enough) const { return count() <= enough || high - low <= 1; }
  void add(int32_t key, const Above& found, double target) {
    if (key <= low || key >= high) return;
    if (found.mass >= target)
      low = key, from_low = found;
    else
      high = key, from_high = found;
  }
  /// Where the mass would be `wanted` if it changed evenly with the key.
  int32_t between(double wanted) const {
    if (!(from_low.mass > from_high.mass)) return middle(low, high);
    const double share = (from_low.mass - wanted) / (from_low.mass - from_high.mass);
    const double key = low + share * (static_cast<double>(high) - low);
    return key <= low ? low + 1 : key >= high - 1 ? high - 1 : static_cast<int32_t>(key);
  }
};

/// Narrows a bracket until it holds few enough weights, or several that are all equal. The first two thresholds are given.
inline void narrow(Bracket& bracket, const float* weights, int64_t n, int64_t stride, double target, int64_t enough,
                   int32_t first, int32_t second) {
  int32_t keys[2] = {first, second};
  for (int round = 1; !bracket.narrow(enough); round++) {
    const float at[2] = {of_key(keys[0]), of_key(keys[1])};
    Above found[2];
    above(weights, n, stride, at, found);
    for (int k = 0; k < 2; k++) bracket.add(keys[k], found[k], target);
    // Around where the target should be, so that it is likely to be between the two; every third time thirds of the
    // bracket, which always narrow it.
    const double gap = bracket.from_low.mass - bracket.from_high.mass;
    keys[0] = bracket.between(target + gap / 16);
    keys[1] = bracket.between(target - gap / 16);
    if (round % 3 == 2 || !(gap > 0)) {
      const int64_t third = (static_cast<int64_t>(bracket.high) - bracket.low + 2) / 3;
      keys[0] = static_cast<int32_t>(bracket.low + third);
      keys[1] = static_cast<int32_t>(bracket.high - third);
    }
  }
}

/// The smallest set of the largest weights that reaches a mass: all from `from` on, and some of those below it.
struct Kept {
  float from = 0;
  int64_t extras = 0;
  const int32_t* places = nullptr;  // [extras], rising
};

/// Two keys that the one at which `target` is reached lies between in all likelihood, by a sample of the weights. It goes by
/// the mass that is left out, which many small weights make up, rather than by the mass that a few large ones do.
inline void guess(const float* weights, int64_t n, double total, double target, const Bracket& all, int32_t (&keys)[2]) {
  const int64_t vectors = n / kLanes, stride = vectors / 128 > 8 ? vectors / 128 : 8;
  const float least[2] = {of_key(all.low), of_key(all.low)};
  Above sample[2];
  above(weights, n, stride, least, sample);
  const double left_out = (total - target) / static_cast<double>(stride);
  const double margin = 3 / std::sqrt(static_cast<double>(n / stride));
  Bracket bracket{all.low, all.high, sample[0], {0, 0}};
  for (int k = 0; k < 2; k++) {
    const double wanted = sample[0].mass - left_out * (k == 0 ? 1 - margin : 1 + margin);
    if (!(wanted > 0)) return;
    narrow(bracket, weights, n, stride, wanted, n / stride / 32, keys[0], keys[1]);
    if (k == 0) {
      keys[0] = bracket.low;
      keys[1] = bracket.high;
      bracket.high = all.high, bracket.from_high = {0, 0};  // the second one is above the first
    } else {
      keys[1] = bracket.high;
    }
  }
}

/// `weights`, [n] with n a multiple of 256, of which `largest` is the largest and `total` the sum. Of equal weights those
/// of the larger logit_at(place) come first, then those of the lower place. Writes to `sums`, [n / 256], the mass of what
/// is kept without being an extra.
template <class LogitAt>
inline Kept keep_mass(const float* weights, int64_t n, float largest, double total, double target, Scratch& scratch,
                      float* sums, const LogitAt& logit_at) {
  Bracket bracket{1, key_of(largest) + 1, {total, n}, {0, 0}};
  int32_t keys[2] = {key_of(largest * 0x1p-12f), key_of(largest * 0x1p-5f)};
  if (n >= 1024) guess(weights, n, total, target, bracket, keys);
  narrow(bracket, weights, n, 1, target, n / 8 > 64 ? n / 8 : 64, keys[0], keys[1]);

  // What is between the thresholds, and then the same in there.
  const int64_t room = (bracket.count() + 63) / 64 * 64;
  float* found = scratch.get<float>(4 * room);
  int32_t* places = reinterpret_cast<int32_t*>(found + room);
  const Vec low = broadcast(of_key(bracket.low)), high = broadcast(of_key(bracket.high));
  int64_t count = 0;
  double mass = 0;
  for (int64_t begin = 0; begin < n; begin += 256) {
    Vec sum = {};
    for_each_where(
        weights + begin, 256,
        [&](Vec w) {
          const IVec above = w >= high;
          sum += as_float(as_int(w) & above);
          return (w >= low) & ~above;
        },
        [&](int64_t i) {
          mass += found[count] = weights[begin + i];
          places[count++] = static_cast<int32_t>(begin + i);
        });
    sums[begin / 256] = reduce_add(sum);
  }
  for (int64_t i = count; i < room; i++) found[i] = 0;
  const double wanted = target - bracket.from_high.mass;
  Bracket inner{bracket.low, bracket.high, {mass, count}, {0, 0}};
  narrow(inner, found, padded(count), 1, wanted, kFew, inner.between(1.25 * wanted), inner.between(0.75 * wanted));
  while (!inner.narrow(1)) {
    const float next = next_below(found, padded(count), of_key(inner.high));
    const int64_t reached = count_from(found, padded(count), next);
    const Above from_next{inner.from_high.mass + static_cast<double>(next) * static_cast<double>(reached - inner.from_high.count), reached};
    if (from_next.mass >= wanted || key_of(next) <= inner.low)
      inner.low = key_of(next), inner.high = inner.low + 1, inner.from_low = from_next;
    else
      inner.high = key_of(next), inner.from_high = from_next;
  }

  // All from the inner bracket's upper end on. If several are left in it they are equal, and as many of them are kept as
  // the mass still needs.
  const float from = of_key(inner.low), whole = of_key(inner.high);
  const double needed = std::ceil((wanted - inner.from_high.mass) / from - 1e-12);
  int64_t ties = inner.count();
  int32_t* tied = nullptr;
  if (ties > 1 && needed < static_cast<double>(ties)) {
    tied = places + 2 * room;
    float *logits = found + 2 * room, highest = -INFINITY;
    ties = 0;
    for (int64_t i = 0; i < count; i++) {
      if (found[i] < from || found[i] >= whole) continue;
      const float logit = logits[ties] = logit_at(places[i]);
      highest = logit > highest ? logit : highest;
      tied[ties++] = places[i];
    }
    for (int64_t i = ties; i < padded(ties); i++) logits[i] = -INFINITY;
    ties = keep_largest(logits, tied, ties, highest, needed < 1 ? 1 : static_cast<int64_t>(needed));
  }
  int64_t kept = 0, next = 0;
  for_each_where(
      found, (count + 63) / 64 * 64, [&](Vec w) { return w >= from; },
      [&](int64_t i) {
        if (tied && found[i] < whole) {
          if (next == ties || tied[next] != places[i]) return;
          next++;
        }
        places[kept++] = places[i];
      });
  return {of_key(bracket.high), kept, places};
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
