// Loops over rows of elements, a vector of floats at a time, and sums whose error does not grow with the row.
// Included only from per-ISA files (see cpu/kernel.h).
#pragma once
#include "cpu/elements.h"

namespace cfgd::CFGD_ISA {
namespace {

/// A full vector of a row.
struct Whole {
  template <class T>
  Vec load(const T* p, float) const {
    return CFGD_ISA::load(p);
  }
  template <class T>
  void store(T* p, Vec v) const {
    CFGD_ISA::store(p, v);
  }
};
/// The last, incomplete one: missing elements read as `fill` and are not written.
struct Part {
  int n;
  template <class T>
  Vec load(const T* p, float fill) const {
    return load_part(p, n, fill);
  }
  template <class T>
  void store(T* p, Vec v) const {
    store_part(p, v, n);
  }
};

/// Calls body(i, io) for every vector of [begin, end); `io` loads and stores at i.
template <class Body>
inline void for_each_vector(int64_t begin, int64_t end, const Body& body) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) body(i, Whole{});
  if (i < end) body(i, Part{static_cast<int>(end - i)});
}

/// Elements that are summed in float before they go into a double.
constexpr int64_t kSumChunk = 256;

/// `count` sums over [0, n) at once: body(i, io, accumulators) adds its terms of one vector.
template <int count, class Body>
inline void sum_vectors(int64_t n, double (&totals)[count], const Body& body) {
  for (int k = 0; k < count; k++) totals[k] = 0;
  for (int64_t begin = 0; begin < n; begin += kSumChunk) {
    const int64_t end = begin + kSumChunk < n ? begin + kSumChunk : n;
    Vec accumulators[count] = {};
    for_each_vector(begin, end, [&](int64_t i, auto io) { body(i, io, accumulators); });
    for (int k = 0; k < count; k++) totals[k] += reduce_add(accumulators[k]);
  }
}

/// The largest element; −∞ for an empty row. No NaN may be in it.
inline float max_of(const float* row, int64_t n) {
  Vec best = broadcast(-INFINITY);
  for_each_vector(0, n, [&](int64_t i, auto io) { best = max(best, io.load(row + i, -INFINITY)); });
  return reduce_max(best);
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
