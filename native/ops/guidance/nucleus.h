// The largest of an array of weights that together reach a mass, without a sort: two thresholds that the wanted one most
// likely lies between are guessed from a sample; one pass adds up what is above both and moves what is between them
// together, and the rest happens there. Included only from per-ISA files (see cpu/kernel.h).
#pragma once
#include "cpu/prefetch.h"
#include "cpu/scratch.h"
#include "ops/guidance/compact.h"
#include "ops/guidance/largest.h"
#include "ops/guidance/thresholds.h"

namespace cfgd::CFGD_ISA {
namespace {

/// What of an array of weights lies at or above a threshold.
struct Above {
  double mass;
  int64_t count;
};

/// Vectors that are added up as floats before they go into a double.
constexpr int64_t kTurns = 32;

/// For m thresholds at once; n is a multiple of kLanes.
template <int m>
inline void above(const float* weights, int64_t n, const float (&at)[m], Above (&result)[m]) {
  double mass[m] = {};
  IVec count[m] = {};
  for (int64_t begin = 0; begin < n; begin += kTurns * kLanes) {
    const int64_t end = begin + kTurns * kLanes < n ? begin + kTurns * kLanes : n;
    Vec sum[m] = {};
    for (int64_t i = begin; i < end; i += kLanes) {
      const Vec w = load(weights + i);
      for (int k = 0; k < m; k++) {
        const IVec over = w >= at[k];
        sum[k] += as_float(as_int(w) & over);
        count[k] -= over;
      }
    }
    for (int k = 0; k < m; k++) mass[k] += reduce_add(sum[k]);
  }
  for (int k = 0; k < m; k++) result[k] = {mass[k], reduce_count(count[k])};
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
  /// Two keys to try next: around where the target should be, so that it is likely to be between the two; every third
  /// time thirds of the bracket, which always narrow it.
  void aim(double target, int round, int32_t (&keys)[2]) const {
    const double gap = from_low.mass - from_high.mass;
    if (round % 3 == 2 || !(gap > 0)) {
      const int64_t third = (static_cast<int64_t>(high) - low + 2) / 3;
      keys[0] = static_cast<int32_t>(low + third);
      keys[1] = static_cast<int32_t>(high - third);
    } else {
      keys[0] = between(target + gap / 16);
      keys[1] = between(target - gap / 16);
    }
  }
};

/// Narrows a bracket until it holds few enough weights, or several that are all equal.
inline void narrow(Bracket& bracket, const float* weights, int64_t n, double target, int64_t enough) {
  for (int round = 0; !bracket.narrow(enough); round++) {
    int32_t keys[2];
    bracket.aim(target, round, keys);
    const float at[2] = {of_key(keys[0]), of_key(keys[1])};
    Above found[2];
    above(weights, n, at, found);
    for (int k = 0; k < 2; k++) bracket.add(keys[k], found[k], target);
  }
}

/// The smallest set of the largest weights that reaches a mass: all from `from` on, and some of those just below it,
/// which are all equal.
struct Kept {
  float from = 0, tie = 0;
  int64_t ties = 0;
  const int32_t* places = nullptr;  // [ties], rising
};

/// Moves the ends of a bracket to where they still surround the target in all likelihood, by a sample of the weights. It
/// goes by the mass that is left out, which many small weights make up, rather than by the mass that a few large ones do.
inline void guess(const float* weights, int64_t n, double left_out, int32_t& low, int32_t& high) {
  constexpr int64_t kMost = 128, kLeastStride = 8;
  constexpr int kRounds = 6;
  alignas(64) float sample[kMost * kLanes];
  const int64_t vectors = n / kLanes, needed = (vectors + kMost - 1) / kMost;
  const int64_t stride = needed > kLeastStride ? needed : kLeastStride;
  Vec sum = {}, largest = {};
  int64_t size = 0;
  for (int64_t v = 0; v < vectors; v += stride, size += kLanes) {
    const Vec w = load(weights + v * kLanes);
    store(sample + size, w);
    sum += w;
    largest = max(w, largest);
  }
  const double mass = reduce_add(sum), margin = 3 / std::sqrt(static_cast<double>(size));
  const double out = left_out * static_cast<double>(size) / static_cast<double>(n);
  const double wanted[2] = {mass - out * (1 - margin), mass - out * (1 + margin)};
  const float top = reduce_max(largest);
  const Bracket all{low, key_of(top) + 1, {mass, size}, {0, 0}};
  Bracket ends[2] = {all, all};
  // The first thresholds are powers of two below the sample's largest weight.
  int32_t keys[4] = {key_of(top * 0x1p-16f), key_of(top * 0x1p-9f), key_of(top * 0x1p-5f), key_of(top * 0x1p-2f)};
  for (int round = 1; round <= kRounds; round++) {
    const float at[4] = {of_key(keys[0]), of_key(keys[1]), of_key(keys[2]), of_key(keys[3])};
    Above found[4];
    above(sample, size, at, found);
    bool done = true;
    for (int e = 0; e < 2; e++) {
      for (int k = 0; k < 4; k++) ends[e].add(keys[k], found[k], wanted[e]);
      done &= ends[e].narrow(size / 16);
    }
    if (done) break;
    for (int e = 0; e < 2; e++) {
      int32_t next[2];
      ends[e].aim(wanted[e], round, next);
      keys[2 * e] = next[0];
      keys[2 * e + 1] = next[1];
    }
  }
  // A sample without all that is wanted says nothing of what is above it.
  low = wanted[0] > 0 ? ends[0].low : key_of(top);
  if (wanted[1] > 0) high = ends[1].high;
}

/// Some values, with room for kLanes more and zeros up to a whole vector.
struct Some {
  float* values;
  int64_t count;
};

/// The mass of the weights from `high` on; those of [low, high) are moved together to `between`, which has room for n and
/// kLanes more. Meanwhile `ahead` is followed, a step for each two vectors.
inline double separate(const float* weights, int64_t n, float low, float high, Some& between,
                       const Trail (&ahead)[2]) {
  const Vec lowest = broadcast(low), end = broadcast(high);
  Trail trails[2] = {ahead[0], ahead[1]};
  double mass = 0;
  float* to = between.values;
  for (int64_t begin = 0; begin < n; begin += 256) {
    Vec sum[2] = {};
    for (int64_t i = begin; i < begin + 256; i += 2 * kLanes) {
      for (Trail& trail : trails) trail.step();
      for (int k = 0; k < 2; k++) {
        const Vec w = load(weights + i + k * kLanes);
        const IVec above = w >= end;
        const uint32_t bits = bits_of_mask((w >= lowest) & ~above);
        sum[k] += as_float(as_int(w) & above);
        store(to, as_float(together(as_int(w), bits)));
        to += __builtin_popcount(bits);
      }
    }
    mass += reduce_add(sum[0] + sum[1]);
  }
  between.count = to - between.values;
  store(to, Vec{});
  return mass;
}

/// Of the weights that equal `tie`, finds the `needed` ones of the largest logits; `tied` has room for all of them and
/// kLanes more.
template <class LogitAt>
inline void choose_ties(const float* weights, int64_t n, float tie, int64_t needed, Found& tied,
                        const LogitAt& logit_at) {
  for (int64_t i = 0; i < n; i += kLanes) tied.places.add(places_from(i), load(weights + i) == tie);
  float lowest = INFINITY, highest = -INFINITY;
  for (int64_t t = 0; t < tied.count(); t++) {
    const float logit = tied.values[t] = logit_at(tied.places.at[t]);
    lowest = logit < lowest ? logit : lowest;
    highest = logit > highest ? logit : highest;
  }
  for (int64_t t = tied.count(); t < padded(tied.count()); t++) tied.values[t] = -INFINITY;
  tied.places.count =
      lowest == highest ? needed : keep_largest(tied.values, tied.places.at, tied.count(), highest, needed);
}

/// Narrows a bracket of a few weights to one of them, or to several that are equal.
inline void pick(Bracket& bracket, const Some& found, double wanted) {
  float few[kFew];
  const Vec low = broadcast(of_key(bracket.low)), high = broadcast(of_key(bracket.high));
  int64_t n = 0;
  for (int64_t i = 0; i < found.count; i += kLanes) {
    const Vec w = load(found.values + i);
    for (uint32_t bits = bits_of_mask((w >= low) & (w < high)); bits; bits &= bits - 1) {
      const float value = found.values[i + __builtin_ctz(bits)];
      int64_t at = n++;
      for (; at > 0 && few[at - 1] < value; at--) few[at] = few[at - 1];
      few[at] = value;
    }
  }
  double mass = bracket.from_high.mass;
  for (int64_t begin = 0, end; begin < n; begin = end) {
    for (end = begin; end < n && few[end] == few[begin]; end++) {}
    const double reached = mass + static_cast<double>(few[begin]) * static_cast<double>(end - begin);
    if (reached >= wanted || end == n) {
      const int32_t key = key_of(few[begin]);
      bracket = {key, key + 1, {reached, end}, {mass, begin}};
      return;
    }
    mass = reached;
  }
}

/// The mass of the weights from `from` on, block by block of 256, to `sums`.
inline void add_up(const float* weights, int64_t n, float from, double* sums) {
  const Vec lowest = broadcast(from);
  for (int64_t begin = 0; begin < n; begin += 256) {
    Vec sum[4] = {};
    for (int64_t i = begin; i < begin + 256; i += 4 * kLanes) {
      for (int k = 0; k < 4; k++) {
        const Vec w = load(weights + i + k * kLanes);
        sum[k] += as_float(as_int(w) & (w >= lowest));
      }
    }
    sums[begin / 256] = reduce_add((sum[0] + sum[1]) + (sum[2] + sum[3]));
  }
}

/// `weights`, [n] with n a multiple of 256, of which `largest` is the largest and `total` the sum. Of equal weights those
/// of the larger logit_at(place) come first, then those of the lower place. Writes to `sums`, [n / 256], the mass of what
/// is kept.
template <class LogitAt>
inline Kept keep_mass(const float* weights, int64_t n, float largest, double total, double target, Scratch& scratch,
                      double* sums, const LogitAt& logit_at, const Trail (&ahead)[2]) {
  const int64_t room = n + 64;
  float* memory = scratch.get<float>(3 * room);
  Some found{memory, 0};
  Bracket bracket{1, key_of(largest) + 1, {total, n}, {0, 0}};
  int32_t low = bracket.low, high = bracket.high;
  if (n >= 1024) guess(weights, n, total - target, low, high);
  const float least[1] = {0};
  Above within[1];
  double over = separate(weights, n, of_key(low), of_key(high), found, ahead);
  above(found.values, padded(found.count), least, within);
  if (over >= target || (low > bracket.low && over + within[0].mass < target)) {
    narrow(bracket, weights, n, target, n / 8 > 64 ? n / 8 : 64);
    low = bracket.low, high = bracket.high;
    over = separate(weights, n, of_key(low), of_key(high), found, {});
    above(found.values, padded(found.count), least, within);
  }
  const double wanted = target - over;
  bracket = {low, high, {within[0].mass, found.count}, {0, 0}};
  narrow(bracket, found.values, padded(found.count), wanted, kFew);
  if (bracket.count() <= kFew) pick(bracket, found, wanted);

  // If several are left in the bracket they are equal, and as many of them are kept as the mass still needs.
  Kept kept{of_key(bracket.low)};
  const double needed = std::ceil((wanted - bracket.from_high.mass) / kept.from - 1e-12);
  const bool tied = bracket.count() > 1 && needed < static_cast<double>(bracket.count());
  if (tied) kept.tie = kept.from, kept.from = of_key(bracket.low + 1);
  add_up(weights, n, kept.from, sums);
  if (tied) {
    Found ties{memory + room, {reinterpret_cast<int32_t*>(memory + 2 * room)}};
    choose_ties(weights, n, kept.tie, needed < 1 ? 1 : static_cast<int64_t>(needed), ties, logit_at);
    kept.ties = ties.count();
    kept.places = ties.places.at;
    for (int64_t i = 0; i < kept.ties; i++) sums[kept.places[i] / 256] += kept.tie;
  }
  return kept;
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
