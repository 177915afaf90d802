// A row of guided logits, a block at a time. Included only from per-ISA files (see cpu/kernel.h).
#pragma once
#include "ops/guidance/combine.h"

namespace cfgd::CFGD_ISA {
namespace {

/// Whether an element is not finite, where `check` is a sum of products of the elements with 0.
inline bool not_finite(Vec check) { return any(check != check); }

/// One row of logits that are combined when they are asked for.
template <class T>
struct LogitRow {
  const T* cond;    // [vocab]
  const T* uncond;  // [vocab]; not read where there is no guidance
  Guidance guidance;
  int64_t vocab;
  const uint32_t* allowed = nullptr;  // [mask_words(vocab)], or null: every token

  /// How many tokens are combined at a time, and of how many of them each the largest logit comes out, too.
  static constexpr int64_t kBlock = 256, kMaxima = 16, kVectors = kMaxima / kLanes;
  static_assert(kMaxima % kLanes == 0);
  int64_t blocks() const { return (vocab + kBlock - 1) / kBlock; }

  /// Writes the block that begins at token `begin` to `out`, [kBlock], with −∞ beyond the vocabulary.
  Flaw combine(int64_t begin, float* out, Vec (&maxima)[kVectors]) const {
    return allowed ? combine_masked(begin, out, maxima) : combine_all<false>(begin, out, maxima);
  }
  /// One token's.
  float operator[](int64_t token) const {
    if (allowed && !(allowed[token / 32] >> token % 32 & 1)) return -INFINITY;
    IVec unused = {};
    return guidance(broadcast(widened(cond[token])), broadcast(guidance.guided ? widened(uncond[token]) : 0.0f),
                    unused)[0];
  }

 private:
  /// Apart, so that rows without a mask have code of their own.
  __attribute__((noinline)) Flaw combine_masked(int64_t begin, float* out, Vec (&maxima)[kVectors]) const {
    return combine_all<true>(begin, out, maxima);
  }
  template <bool kMasked>
  Flaw combine_all(int64_t begin, float* out, Vec (&maxima)[kVectors]) const {
    if (guidance.plain() && begin + kBlock <= vocab) {
      if (guidance.guided ? combine_plain<true, kMasked>(begin, out, maxima)
                          : combine_plain<false, kMasked>(begin, out, maxima))
        return {};
    }
    return combine_exactly<kMasked>(begin, out, maxima);
  }

  /// A vector of combined logits from `token` on, a multiple of kLanes, with −∞ for those that are not allowed.
  template <bool kMasked>
  Vec masked(int64_t token, Vec logits) const {
    if constexpr (!kMasked) return logits;
    IVec bits = {};
    for (int lane = 0; lane < kLanes; lane++) bits[lane] = 1 << lane;
    const uint32_t word = allowed[token / 32] >> token % 32;
    const IVec kept = (static_cast<int32_t>(word) - IVec{}) & bits;
    return kept != 0 ? logits : broadcast(-INFINITY);
  }

  /// A block of finite logits; false for any other.
  template <bool kGuided, bool kMasked>
  bool combine_plain(int64_t begin, float* out, Vec (&maxima)[kVectors]) const {
    const T *c = cond + begin, *u = kGuided ? uncond + begin : cond + begin;
    Vec largest[kVectors], check[kVectors];
    for (int64_t v = 0; v < kVectors; v++) largest[v] = broadcast(-INFINITY), check[v] = Vec{};
    for (int64_t i = 0; i < kBlock; i += kMaxima) {
      for (int64_t v = 0; v < kVectors; v++) {
        const int64_t at = i + v * kLanes;
        const Vec mixed = guidance.formula<kGuided>(load(c + at), load(u + at));
        check[v] += mixed * 0.0f;
        const Vec kept = masked<kMasked>(begin + at, mixed);
        largest[v] = max(kept, largest[v]);
        store(out + at, kept);
      }
    }
    for (int64_t v = 0; v < kVectors; v++) maxima[v] = largest[v];
    for (int64_t v = 1; v < kVectors; v++) check[0] += check[v];
    return !not_finite(check[0]);
  }

  template <bool kMasked>
  Flaw combine_exactly(int64_t begin, float* out, Vec (&maxima)[kVectors]) const {
    const int64_t end = begin + kBlock < vocab ? begin + kBlock : vocab;
    IVec bad = {};
    for (int64_t v = 0; v < kVectors; v++) maxima[v] = broadcast(-INFINITY);
    for_each_vector(begin, end, [&](int64_t i, auto io) {
      const Vec c = io.load(cond + i, -INFINITY), u = guidance.guided ? io.load(uncond + i, -INFINITY) : Vec{};
      const Vec mixed = masked<kMasked>(i, guidance(c, u, bad));
      Vec& largest = maxima[(i - begin) / kLanes % kVectors];
      largest = max(mixed, largest);
      store(out + (i - begin), mixed);
    });
    if (any(bad)) return guidance.flaw(cond, uncond, begin, end);
    for (int64_t i = (end - begin + kLanes - 1) / kLanes * kLanes; i < kBlock; i += kLanes)
      store(out + i, broadcast(-INFINITY));
    return {};
  }
};

}  // namespace
}  // namespace cfgd::CFGD_ISA
