// The random words of dropout: philox() of ops/random/philox.h on several counters at a time.
// Included only from per-ISA files.
#pragma once
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "cpu/simd.h"
#include "ops/random/philox.h"

namespace cfgd::CFGD_ISA {
namespace {

typedef uint64_t Wide __attribute__((vector_size(kLanes * 4)));

/// The 64-bit products of the low halves of each lane; the high halves do not matter.
inline Wide multiply_low_halves(Wide a, uint64_t b) {
  const Wide k = b - Wide{};
#if defined(__AVX512F__)
  // The masked form, with every lane: the plain one makes g++ 12 warn of an uninitialised value in its own header.
  return (Wide)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)k);
#elif defined(__AVX2__)
  return (Wide)_mm256_mul_epu32((__m256i)a, (__m256i)k);
#elif defined(__SSE2__)
  return (Wide)_mm_mul_epu32((__m128i)a, (__m128i)k);
#else
  return (a & 0xffffffffu) * k;
#endif
}

class DropoutWords {
 public:
  static constexpr int kCounters = kLanes / 2, kGroups = 2;  // per vector; two vectors hide the multiplier's latency
  static constexpr int kWords = 4 * kCounters * kGroups;

  DropoutWords(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}

  /// words[j] = word (i + j) mod 4 of the counter (i + j) / 4, for j < kWords. i is a multiple of 4.
  void at(int64_t i, uint32_t* words) const {
    Wide c0[kGroups], c1[kGroups], c2[kGroups], c3[kGroups];  // each word in the low half of a lane
    for (int g = 0; g < kGroups; g++) {
      c0[g] = stream_ - Wide{};
      c1[g] = (stream_ >> 32) - Wide{};
      uint64_t counters[kCounters];
      for (int k = 0; k < kCounters; k++) counters[k] = static_cast<uint64_t>(i / 4 + g * kCounters + k);
      std::memcpy(&c2[g], counters, sizeof(Wide));
      c3[g] = uint64_t{kPurposeDropout} - Wide{};
    }
    uint32_t k0 = static_cast<uint32_t>(seed_), k1 = static_cast<uint32_t>(seed_ >> 32);
    for (int round = 0; round < 10; round++) {
      for (int g = 0; g < kGroups; g++) {
        const Wide p0 = multiply_low_halves(c0[g], 0xD2511F53u), p1 = multiply_low_halves(c2[g], 0xCD9E8D57u);
        c0[g] = (p1 >> 32) ^ c1[g] ^ uint64_t{k0};
        c2[g] = (p0 >> 32) ^ c3[g] ^ uint64_t{k1};
        c1[g] = p1;
        c3[g] = p0;
      }
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    for (int g = 0; g < kGroups; g++) {
      for (int k = 0; k < kCounters; k++) {
        uint32_t* four = words + 4 * (g * kCounters + k);
        four[0] = static_cast<uint32_t>(c0[g][k]);
        four[1] = static_cast<uint32_t>(c1[g][k]);
        four[2] = static_cast<uint32_t>(c2[g][k]);
        four[3] = static_cast<uint32_t>(c3[g][k]);
      }
    }
  }

 private:
  uint64_t seed_, stream_;
};

}  // namespace
}  // namespace cfgd::CFGD_ISA
