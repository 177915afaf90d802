// Moves what passes a test together, without a branch: which elements pass is as good as random here, so that a branch for
// each would be predicted wrongly. Included only from per-ISA files (see cpu/kernel.h).
#pragma once
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "cpu/simd.h"

namespace cfgd::CFGD_ISA {
namespace {

#if defined(__AVX2__) && !defined(__AVX512F__)
/// For each mask of 8 lanes, the lanes that are set, lowest first, a byte each.
struct SetLanes {
  uint64_t of[256] = {};
  constexpr SetLanes() {
    for (int mask = 0; mask < 256; mask++) {
      int place = 0;
      for (int lane = 0; lane < 8; lane++)
        if (mask >> lane & 1) of[mask] |= static_cast<uint64_t>(lane) << 8 * place++;
    }
  }
};
inline constexpr SetLanes kSetLanes;
#endif

inline IVec load_places(const int32_t* p) {
  IVec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store_places(int32_t* p, IVec v) { std::memcpy(p, &v, sizeof v); }

#if defined(__AVX512F__)
inline IVec together(IVec v, uint32_t bits) {
  return (IVec)_mm512_maskz_compress_epi32(static_cast<__mmask16>(bits), (__m512i)v);
}
#elif defined(__AVX2__)
inline IVec together(IVec v, uint32_t bits) {
  const __m256i order = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(kSetLanes.of + bits)));
  return (IVec)_mm256_permutevar8x32_epi32((__m256i)v, order);
}
#else
inline IVec together(IVec v, uint32_t bits) {
  IVec result = {};
  for (int i = 0, at = 0; i < kLanes; i++) {
    result[at] = v[i];
    at += bits >> i & 1;
  }
  return result;
}
#endif

/// A bit per lane of a comparison's result, the first lane's lowest.
inline uint32_t bits_of_mask(IVec mask) {
#if defined(__AVX512F__)
  return _mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX2__)
  return static_cast<uint32_t>(_mm256_movemask_ps((__m256)mask));
#elif defined(__SSE2__)
  return static_cast<uint32_t>(_mm_movemask_ps((__m128)mask));
#else
  uint32_t bits = 0;
  for (int i = 0; i < kLanes; i++) bits |= (static_cast<uint32_t>(mask[i]) & 1) << i;
  return bits;
#endif
}

/// The places of kLanes elements, of which the first is at `first`.
inline IVec places_from(int64_t first) {
  IVec lanes = {};
  for (int i = 0; i < kLanes; i++) lanes[i] = i;
  return lanes + static_cast<int32_t>(first);
}

/// Places that have been found, rising. There is room for kLanes more than are found.
struct Places {
  int32_t* at;
  int64_t count = 0;

  /// Adds the lanes of `places` that are set in `mask`. They may come from at + count or behind it.
  void add(IVec places, IVec mask) {
    const uint32_t bits = bits_of_mask(mask);
    store_places(at + count, together(places, bits));
    count += __builtin_popcount(bits);
  }
};

/// Places, and the values there. Both arrays have room for kLanes more than are found.
struct Found {
  float* values;
  Places places;

  int64_t count() const { return places.count; }
  /// As Places::add.
  void add(Vec v, IVec at, IVec mask) {
    store(values + places.count, as_float(together(as_int(v), bits_of_mask(mask))));
    places.add(at, mask);
  }
};

}  // namespace
}  // namespace cfgd::CFGD_ISA
