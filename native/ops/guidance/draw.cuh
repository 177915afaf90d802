// Drawing a token from one row of logits by one block of threads. Device code; the rules are in guidance.h.
//
// Weights exp((logit − best) / temperature) are 64-bit fixed-point numbers: their sums are exact, hence the same for
// every order and number of threads, and top-k, top-p and the draw itself are all one search for the place at which a
// sum of them reaches a target. A weight below 2⁻⁴⁰ of the largest (2⁻³² for the longest rows) counts as 0.
#pragma once
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

#include "cuda/reduce.cuh"
#include "ops/guidance/combine.cuh"
#include "ops/guidance/guidance.h"
#include "ops/random/philox.h"

namespace cfgd {

/// One row's branches. `cache`, in shared memory, holds the combined logits if it is there; they are combined again at
/// every visit if not.
struct LogitRow {
  const float* cond;
  const float* uncond;  // cond itself where there is no guidance
  Guidance guidance;
  float* cache;  // or null
  int64_t vocab;

  __device__ float operator[](int64_t t) const {
    return cache ? cache[t] : guidance(cond[t], uncond[t]);
  }
};

/// A float as an unsigned integer of the same order.
__device__ inline uint32_t ordered(float x) {
  union {
    float value;
    uint32_t bits;
  } u;
  u.value = x + 0.0f;  // −0 and +0 are one value
  return u.bits & 0x80000000u ? ~u.bits : u.bits | 0x80000000u;
}

struct RowSummary {
  float best;          // the largest logit
  int64_t best_token;  // its lowest token; −1: there is no finite logit
  int64_t bad_token;   // the lowest token at fault; −1: none
};

/// Reads a row once: fills its cache and finds its largest logit.
template <int kThreads>
__device__ RowSummary summarize(const LogitRow& row, int& phase) {
  // Logit and token in one number whose order is: larger logit first, then lower token.
  unsigned long long found[2] = {0, 0};
  const auto visit = [&](int64_t t, float c, float u) {
    const unsigned long long falling = 0xffffffffu - static_cast<uint32_t>(t);
    const float logit = row.guidance(c, u);
    if (row.guidance.bad(c, u, logit)) found[1] = found[1] > falling ? found[1] : falling;
    if (row.cache) row.cache[t] = logit;
    if (logit > -INFINITY) {
      const unsigned long long rank = static_cast<unsigned long long>(ordered(logit)) << 32 | falling;
      found[0] = found[0] > rank ? found[0] : rank;
    }
  };
  int64_t done = 0;
  if (aligned16(row.cond) && aligned16(row.uncond)) {
    done = row.vocab & ~int64_t{3};
    for (int64_t t = 4 * threadIdx.x; t < done; t += 4 * kThreads) {
      const float4 c = *reinterpret_cast<const float4*>(row.cond + t);
      const float4 u = *reinterpret_cast<const float4*>(row.uncond + t);
      visit(t, c.x, u.x);
      visit(t + 1, c.y, u.y);
      visit(t + 2, c.z, u.z);
      visit(t + 3, c.w, u.w);
    }
  }
  for (int64_t t = done + threadIdx.x; t < row.vocab; t += kThreads) visit(t, row.cond[t], row.uncond[t]);
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
  float log_prob;
};

/// Draws from a row whose summary has a best and no bad token.
template <int kThreads>
__device__ Drawn draw(const LogitRow& row, const RowSummary& summary, const DrawOptions& options, uint64_t stream,
                      uint32_t position, int& phase) {
  if (options.temperature == 0) return {summary.best_token, 0.0f};
  const int64_t vocab = row.vocab;
  int token_bits = 0;
  while (token_bits < 31 && (int64_t{1} << token_bits) < vocab) token_bits++;
  // The sum of a whole row stays below 2⁶⁴.
  const int fraction = token_bits <= 23 ? 40 : 63 - token_bits;
  const float unit = static_cast<float>(1ull << fraction);
  const auto weight_of = [&](float logit) {
    return static_cast<unsigned long long>(expf((logit - summary.best) / options.temperature) * unit);
  };

  // The place, by falling key and then rising token, at which the sum of weight_at(token, logit) reaches the target.
  // Items of one key weigh the same.
  const auto support_reaching = [&](unsigned long long target, const auto& weight_at) {
    Support support;
    support.key = reaching<kThreads>(vocab, 32, target, phase, [&](int64_t t) {
      const float logit = row[t];
      return Item{ordered(logit), weight_at(t, logit)};
    });
    unsigned long long sums[2] = {0, 0};  // above the key, at the key
    for (int64_t t = threadIdx.x; t < vocab; t += kThreads) {
      const float logit = row[t];
      const uint32_t key = ordered(logit);
      if (key >= support.key) sums[key == support.key] += weight_at(t, logit);
    }
    reduce_block<Sum, kThreads>(sums, phase);
    const unsigned long long needed = target - sums[0];
    support.last = vocab - 1;
    if (needed < sums[1]) {
      const uint32_t falling = reaching<kThreads>(vocab, token_bits, needed, phase, [&](int64_t t) {
        const float logit = row[t];
        return Item{static_cast<uint32_t>(vocab - 1 - t), ordered(logit) == support.key ? weight_at(t, logit) : 0};
      });
      support.last = vocab - 1 - falling;
    }
    return support;
  };
  const auto total_of = [&](const Support& support) {
    unsigned long long sum[1] = {0};
    for (int64_t t = threadIdx.x; t < vocab; t += kThreads) {
      const float logit = row[t];
      if (support.has(ordered(logit), t)) sum[0] += weight_of(logit);
    }
    reduce_block<Sum, kThreads>(sum, phase);
    return sum[0];
  };

  Support support{0, vocab - 1};
  if (options.top_k && options.top_k < vocab)
    support = support_reaching(static_cast<unsigned long long>(options.top_k), [](int64_t, float) { return 1ull; });
  unsigned long long total = total_of(support);
  if (options.top_p < 1) {
    const double p = options.top_p;
    const double target = ceil((p - 1e-6 * p * (1 - p)) * static_cast<double>(total));
    const Support wide = support;
    support = support_reaching(static_cast<unsigned long long>(target), [&](int64_t t, float logit) {
      return wide.has(ordered(logit), t) ? weight_of(logit) : 0ull;
    });
    total = total_of(support);
  }

  const double uniform = philox_uniform(philox(options.seed, stream, position, kPurposeSample));
  unsigned long long below = static_cast<unsigned long long>(uniform * static_cast<double>(total));
  if (below >= total) below = total - 1;
  // The first token at which the running sum, in token order, exceeds what was drawn.
  const uint32_t falling = reaching<kThreads>(vocab, token_bits, below + 1, phase, [&](int64_t t) {
    const float logit = row[t];
    return Item{static_cast<uint32_t>(vocab - 1 - t), support.has(ordered(logit), t) ? weight_of(logit) : 0ull};
  });
  const int64_t token = vocab - 1 - falling;
  const double mass = static_cast<double>(total) / static_cast<double>(1ull << fraction);
  const double log_prob = (static_cast<double>(row[token]) - summary.best) / options.temperature - log(mass);
  return {token, static_cast<float>(log_prob)};
}

}  // namespace cfgd
