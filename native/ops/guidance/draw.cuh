// Drawing a token from one row of logits by one block of threads. Device code; the rules are in guidance.h.
//
// Weights exp((logit − best) / temperature) are 64-bit fixed-point numbers: their sums are exact, hence the same for
// every order and number of threads, and top-k, top-p and the draw itself are all one search for the place at which a
// sum of them reaches a target. A weight below 2⁻⁴⁰ of the largest (2⁻³² for the longest rows) counts as 0.
#pragma once
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

#include "cuda/search.cuh"
#include "ops/guidance/combine.cuh"
#include "ops/guidance/guidance.h"
#include "ops/random/philox.h"

namespace cfgd {

/// One row's branches. `cache`, in shared memory, holds the combined logits if it is there; they are combined again at
/// every visit if not.
template <class T, bool kMasked>
struct LogitRow {
  const T* cond;
  const T* uncond;  // cond itself where there is no guidance
  Guidance guidance;
  float* cache;  // or null
  int64_t vocab;
  const uint32_t* allowed;  // [mask_words(vocab)]; not read unless kMasked

  __device__ bool allows(int64_t t) const { return allowed[t >> 5] >> (t & 31) & 1; }
  __device__ float operator[](int64_t t) const {
    if (kMasked && !cache && !allows(t)) return -INFINITY;
    return cache ? cache[t] : guidance(widened(cond[t]), widened(uncond[t]));
  }
};

/// A float as an unsigned integer of the same order.
__device__ inline uint32_t ordered(float x) {
  const uint32_t bits = bits_of(x + 0.0f);  // −0 and +0 are one value
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

struct RowSummary {
  float best;          // the largest logit
  int64_t best_token;  // its lowest token; −1: there is no finite logit
  int64_t bad_token;   // the lowest token at fault; −1: none
};

/// Reads a row once: fills its cache and finds its largest logit.
template <int kThreads, class T, bool kMasked>
__device__ RowSummary summarize(const LogitRow<T, kMasked>& row, int& phase) {
  // Logit and token in one number whose order is: larger logit first, then lower token.
  unsigned long long found[2] = {0, 0};
  const auto visit = [&](int64_t t, float c, float u) {
    const unsigned long long falling = 0xffffffffu - static_cast<uint32_t>(t);
    float logit = row.guidance(c, u);
    if (row.guidance.bad(c, u, logit)) found[1] = found[1] > falling ? found[1] : falling;
    if (kMasked && !row.allows(t)) logit = -INFINITY;
    if (row.cache) row.cache[t] = logit;
    if (logit > -INFINITY) {
      const unsigned long long rank = static_cast<unsigned long long>(ordered(logit)) << 32 | falling;
      found[0] = found[0] > rank ? found[0] : rank;
    }
  };
  constexpr int kCount = kPack<T>;
  int64_t done = 0;
  if (aligned16(row.cond) && aligned16(row.uncond)) {
    done = row.vocab / kCount * kCount;
#pragma unroll(kMasked ? 1 : 2)
    for (int64_t t = kCount * threadIdx.x; t < done; t += kCount * kThreads) {
      float c[kCount], u[kCount];
      load_pack(row.cond + t, c);
      load_pack(row.uncond + t, u);
#pragma unroll
      for (int k = 0; k < kCount; k++) visit(t + k, c[k], u[k]);
    }
  }
  for (int64_t t = done + threadIdx.x; t < row.vocab; t += kThreads)
    visit(t, widened(row.cond[t]), widened(row.uncond[t]));
  reduce_block<Maximum, kThreads>(found, phase);  // its barrier also completes the cache

  RowSummary summary{-INFINITY, -1, -1};
  if (found[1]) summary.bad_token = 0xffffffffu - static_cast<uint32_t>(found[1]);
  if (found[0]) {
    summary.best_token = 0xffffffffu - static_cast<uint32_t>(found[0]);
    summary.best = row[summary.best_token];
  }
  return summary;
}

/// The tokens that are still in play: those above a key, and those at it up to a token.
struct Support {
  uint32_t key;
  int64_t last;
  __device__ bool has(uint32_t k, int64_t t) const { return k > key || (k == key && t <= last); }
};

struct Drawn {
  int64_t token;
  double mass;  // of the support, where the best token weighs 1
};

/// 2^exponent, for exponents of normal numbers.
__device__ inline float power_of_two(int exponent) { return float_of_bits(static_cast<uint32_t>(127 + exponent) << 23); }

/// The fixed-point weights of a row.
struct Weights {
  float best, temperature;  // of logits times `magnify`
  float magnify, inverse;   // 1 / temperature
  int fraction;             // bits

  __device__ Weights(float best_, float temperature_, int64_t vocab) : best(best_) {
    // Brings temperatures from either end of float32 to where their inverse has all its digits.
    magnify = temperature_ < 0x1p-60f ? 0x1p90f : temperature_ > 0x1p60f ? 0x1p-60f : 1.0f;
    temperature = temperature_ * magnify;
    inverse = 1 / temperature;
    int token_bits = 0;
    while (token_bits < 31 && (int64_t{1} << token_bits) < vocab) token_bits++;
    fraction = token_bits <= 23 ? 40 : 63 - token_bits;  // the sum of a whole row stays below 2⁶⁴
  }
  __device__ unsigned long long of(float logit) const {
    // The quotient by temperature, rounded correctly, without the branches of a division.
    const float x = (logit - best) * magnify, near = x * inverse;
    const float quotient = fmaf(fmaf(-near, temperature, x), inverse, near);
    return near > -40 ? static_cast<unsigned long long>(expf(quotient) * power_of_two(fraction)) : 0;
  }
};

/// Draws from a row with a finite logit and no bad token, at a temperature above 0.
///
/// Three passes over the cached row for each of top-k and top-p, and one for the draw.
template <int kThreads, class T, bool kMasked>
__device__ Drawn draw(const LogitRow<T, kMasked>& row, float best, const DrawOptions& options, uint64_t stream,
                      uint32_t position) {
  const int64_t vocab = row.vocab;
  const Weights weights(best, options.temperature, vocab);
  Support support{0, vocab - 1};
#pragma unroll 1
  for (int by_mass = 0; by_mass <= 1; by_mass++) {
    if (by_mass ? options.top_p == 1 : options.top_k == 0 || options.top_k >= vocab) continue;
    const Support wide = support;
    // The place, by falling key and then rising token, at which the sum reaches the target.
    const Selected selected = select_key<kThreads>(
        vocab, [&](int64_t t) { return ordered(row[t]); },
        [&](int64_t t) {
          if (!by_mass) return 1ull;
          const float logit = row[t];
          return wide.has(ordered(logit), t) ? weights.of(logit) : 0ull;
        },
        [&](unsigned long long total) {
          if (!by_mass) return static_cast<unsigned long long>(options.top_k);
          const double p = options.top_p, mass = ceil((p - 1e-6 * p * (1 - p)) * static_cast<double>(total));
          return mass < static_cast<double>(total) ? static_cast<unsigned long long>(mass) : total;
        });
    support = {selected.key, vocab - 1};
    if (by_mass && wide.key == selected.key) support.last = wide.last;
    if (selected.needed < selected.at) {
      // Items of one key weigh the same: as many of them as it takes.
      support.last = first_reaching<kThreads>(
                         vocab,
                         [&](int64_t t) {
                           const float logit = row[t];
                           if (ordered(logit) != selected.key || t > support.last) return 0ull;
                           return by_mass ? weights.of(logit) : 1ull;
                         },
                         [&](unsigned long long) { return selected.needed; })
                         .index;
    }
  }

  // The first token at which the running sum, in token order, exceeds what is drawn.
  const Reached reached = first_reaching<kThreads>(
      vocab,
      [&](int64_t t) {
        const float logit = row[t];
        return support.has(ordered(logit), t) ? weights.of(logit) : 0ull;
      },
      [&](unsigned long long total) {
        const double uniform = philox_uniform(philox(options.seed, stream, position, kPurposeSample));
        const unsigned long long below = static_cast<unsigned long long>(uniform * static_cast<double>(total));
        return below < total ? below + 1 : total;
      });
  return {reached.index, static_cast<double>(reached.total) * power_of_two(-weights.fraction)};
}

}  // namespace cfgd
