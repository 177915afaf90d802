// Philox4x32-10: a counter-based random generator (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). The same numbers on every device: a draw depends on (seed, stream, position, purpose) alone.
#pragma once
#include <stdint.h>

#if defined(__CUDACC__)
#define CFGD_SHARED __host__ __device__
#else
#define CFGD_SHARED
#endif

namespace cfgd {
namespace {

/// Keeps the numbers of different uses apart.
enum RandomPurpose : uint32_t { kPurposeSample = 0, kPurposeDropout = 1 };

struct Philox {
  uint32_t word[4];
};

CFGD_SHARED inline Philox philox(uint64_t seed, uint64_t stream, uint32_t position, uint32_t purpose) {
  uint32_t c[4] = {static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32), position, purpose};
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, n2 = static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1;
    c[1] = static_cast<uint32_t>(p1);
    c[3] = static_cast<uint32_t>(p0);
    c[0] = n0;
    c[2] = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c[0], c[1], c[2], c[3]}};
}

/// Uniform in [0, 1), with 53 bits.
CFGD_SHARED inline double philox_uniform(const Philox& p) {
  const uint64_t bits = (static_cast<uint64_t>(p.word[0]) << 21) ^ (p.word[1] >> 11);
  return static_cast<double>(bits & ((1ull << 53) - 1)) * (1.0 / 9007199254740992.0);
}

}  // namespace
}  // namespace cfgd
