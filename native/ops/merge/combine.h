// out = Σ_k factors[k] · inputs[k], element by element: what all merging comes down to. Per-ISA code.
//
// Moves the least: every input read once, the output written once, and streamed past the caches when it is large. Sums
// stay in registers, tile by tile, whatever the number of inputs. For errors see merge.h.
#pragma once
#include "cpu/kernel.h"
#include "cpu/rows.h"
#include "cpu/stream.h"
#include "cpu/wide.h"
#include "ops/merge/merge.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kChunk = 65536;  // elements: some 20 µs of memory traffic

/// Some sums at once, in registers: of float32 elements in double, of narrower ones in float32, whose 24 bits are
/// enough for them.
template <class T>
struct Sums {
  using Number = float;
  static constexpr int kWidth = 2 * kLanes;
  Pair sum;

  void set(const T* p, double factor) {
    const Pair x = load_pair(p);
    const auto f = static_cast<float>(factor);
    sum = {x.first * f, x.second * f};
  }
  void add(const T* p, double factor) {
    const Pair x = load_pair(p);
    const Vec f = broadcast(static_cast<float>(factor));
    sum = {multiply_add(x.first, f, sum.first), multiply_add(x.second, f, sum.second)};
  }
  void store_to(T* p) const { store_pair(p, sum); }
  void stream_to(T* p) const { stream_pair(p, sum); }
};
template <>
struct Sums<float> {
  using Number = double;
  static constexpr int kWidth = kLanes;
  Wide sum;

  void set(const float* p, double factor) {
    const Wide x = load_wide(p);
    sum = {x.low * factor, x.high * factor};
  }
  void add(const float* p, double factor) {
    const Wide x = load_wide(p);
    const Doubles f = broadcast(factor);
    sum = {multiply_add(x.low, f, sum.low), multiply_add(x.high, f, sum.high)};
  }
  void store_to(float* p) const { store(p, narrow(sum)); }
  void stream_to(float* p) const { stream(p, narrow(sum)); }
};

template <class T>
struct Combination {
  const Weighted<T>* inputs;
  int64_t count;
  T* out;

  /// Of a tile: one line of memory or more.
  static constexpr int kSums = 4, kWidth = Sums<T>::kWidth;
  static constexpr int64_t kTile = kSums * kWidth;

  template <bool kStream, int kInputs>
  void tile(T* to, int64_t i) const {
    Sums<T> sums[kSums];
#pragma GCC unroll 4
    for (int s = 0; s < kSums; s++) sums[s].set(inputs[0].data + i + s * kWidth, inputs[0].weight);
    const int64_t all = kInputs ? kInputs : count;
    for (int64_t k = 1; k < all; k++) {
      const T* p = inputs[k].data + i;
      const double weight = inputs[k].weight;
#pragma GCC unroll 4
      for (int s = 0; s < kSums; s++) sums[s].add(p + s * kWidth, weight);
    }
#pragma GCC unroll 4
    for (int s = 0; s < kSums; s++) {
      if constexpr (kStream)
        sums[s].stream_to(to + i + s * kWidth);
      else
        sums[s].store_to(to + i + s * kWidth);
    }
  }

  /// The same, one by one: what does not fill a tile.
  void part(int64_t begin, int64_t end) const {
    using Number = typename Sums<T>::Number;
    for (int64_t i = begin; i < end; i++) {
      Number sum = widened(inputs[0].data[i]) * static_cast<Number>(inputs[0].weight);
      for (int64_t k = 1; k < count; k++)
        sum = multiply_add(Number{widened(inputs[k].data[i])}, static_cast<Number>(inputs[k].weight), sum);
      out[i] = narrowed<T>(static_cast<float>(sum));
    }
  }

  template <bool kStream, int kInputs>
  void chunk(int64_t begin, int64_t end) const {
    int64_t i = begin;
    if constexpr (kStream) {
      i += before_line(out + begin, end - begin);
      part(begin, i);
    }
    for (; i + kTile <= end; i += kTile) tile<kStream, kInputs>(out, i);
    if (i < end) part(i, end);
    if constexpr (kStream) finish_streaming();
  }

  template <bool kStream>
  void run(int64_t n, const Parallel& parallel) const {
    parallel(n, kChunk, [&](int64_t begin, int64_t end) {
      switch (count) {
        case 2: return chunk<kStream, 2>(begin, end);
        case 3: return chunk<kStream, 3>(begin, end);
        default: return chunk<kStream, 0>(begin, end);
      }
    });
  }
};

template <class T>
void copy(const T* from, T* to, int64_t n, const Parallel& parallel) {
  if (from == to) return;
  parallel(n, kChunk, [&](int64_t begin, int64_t end) {
    std::memcpy(to + begin, from + begin, sizeof(T) * static_cast<uint64_t>(end - begin));
  });
}

/// Inputs of factor 0 must have been left out. One alone, of factor 1, is copied bit for bit; none give 0.
template <class T>
void combine(const Weighted<T>* inputs, int64_t count, T* out, int64_t n, const Parallel& parallel) {
  if (n == 0) return;
  if (count == 0) {
    parallel(n, kChunk, [&](int64_t begin, int64_t end) {
      std::memset(out + begin, 0, sizeof(T) * static_cast<uint64_t>(end - begin));
    });
    return;
  }
  if (count == 1 && inputs[0].weight == 1) return copy(inputs[0].data, out, n, parallel);
  // What is written over is in the cache already.
  bool fresh = true;
  for (int64_t k = 0; k < count; k++) fresh = fresh && inputs[k].data != out;
  const Combination<T> combination{inputs, count, out};
  if (fresh && (count + 1) * n * static_cast<int64_t>(sizeof(T)) >= kStreamedBytes)
    combination.template run<true>(n, parallel);
  else
    combination.template run<false>(n, parallel);
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
