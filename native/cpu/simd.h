// Vectors of float as wide as the instruction set being compiled, by the compilers' vector extensions.
// Included only from per-ISA files: everything has internal linkage (see cpu/kernel.h).
#pragma once
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include <cmath>
#include <cstdint>
#include <cstring>

namespace cfgd::CFGD_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef int32_t IVec __attribute__((vector_size(kLanes * 4)));
typedef uint32_t UVec __attribute__((vector_size(kLanes * 4)));
typedef Vec UnalignedVec __attribute__((aligned(4), may_alias));

inline Vec load(const float* p) { return *reinterpret_cast<const UnalignedVec*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<UnalignedVec*>(p) = v; }
inline Vec broadcast(float x) { return x - Vec{}; }
/// The first n < kLanes elements; the rest is `fill`.
inline Vec load_part(const float* p, int n, float fill) {
  Vec v = broadcast(fill);
  std::memcpy(&v, p, sizeof(float) * n);
  return v;
}
inline void store_part(float* p, Vec v, int n) { std::memcpy(p, &v, sizeof(float) * n); }
/// a > b ? a : b, and so b where one is NaN. One instruction, which gcc 12 does not always find by itself.
#if defined(__AVX512F__)
inline Vec max(Vec a, Vec b) { return (Vec)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b); }
inline Vec min(Vec a, Vec b) { return (Vec)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b); }
#elif defined(__AVX2__)
inline Vec max(Vec a, Vec b) { return (Vec)_mm256_max_ps((__m256)a, (__m256)b); }
inline Vec min(Vec a, Vec b) { return (Vec)_mm256_min_ps((__m256)a, (__m256)b); }
#elif defined(__SSE2__)
inline Vec max(Vec a, Vec b) { return (Vec)_mm_max_ps((__m128)a, (__m128)b); }
inline Vec min(Vec a, Vec b) { return (Vec)_mm_min_ps((__m128)a, (__m128)b); }
#else
inline Vec max(Vec a, Vec b) { return a > b ? a : b; }
inline Vec min(Vec a, Vec b) { return a < b ? a : b; }
#endif
inline Vec as_float(IVec v) { return (Vec)v; }  // same bits
inline IVec as_int(Vec v) { return (IVec)v; }
/// For arithmetic on the bits, which wraps.
inline UVec as_bits(Vec v) { return (UVec)v; }
inline Vec as_float(UVec v) { return (Vec)v; }

/// Combines all lanes, elements E, by halving, so in log₂(lanes) dependent steps.
template <class E, class V, class Combine>
inline E reduce_lanes(V v, const Combine& combine) {
  typedef E Four __attribute__((vector_size(16)));
#if defined(__AVX512F__)
  typedef E Eight __attribute__((vector_size(32)));
  const Eight e = combine(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7),
                          __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
  const Four f = combine(__builtin_shufflevector(e, e, 0, 1, 2, 3), __builtin_shufflevector(e, e, 4, 5, 6, 7));
#elif defined(__AVX2__)
  const Four f = combine(__builtin_shufflevector(v, v, 0, 1, 2, 3), __builtin_shufflevector(v, v, 4, 5, 6, 7));
#else
  const Four f = v;
#endif
  const Four two = combine(f, (Four)__builtin_shufflevector(f, f, 2, 3, 0, 1));
  const Four one = combine(two, (Four)__builtin_shufflevector(two, two, 1, 0, 3, 2));
  return one[0];
}
inline float reduce_add(Vec v) {
  return reduce_lanes<float>(v, [](auto a, auto b) { return a + b; });
}
inline float reduce_max(Vec v) {
  return reduce_lanes<float>(v, [](auto a, auto b) { return a > b ? a : b; });
}
inline bool any(IVec mask) {
  // As 64-bit words: the compilers turn this into a single test of the register.
  typedef int64_t Words __attribute__((vector_size(kLanes * 4)));
  const Words words = (Words)mask;
  int64_t bits = 0;
  for (int i = 0; i < kLanes / 2; i++) bits |= words[i];
  return bits != 0;
}

/// e^x, within 2 units in the last place for results that are normal numbers; smaller ones are 0, as is e^−∞.
/// NaN gives NaN. x = n·ln 2 + r with |r| ≤ ln 2 / 2, then a polynomial of degree 6 in r: relative error 3e-9 before
/// rounding (scripts/fit-polynomials.mjs). Checked for every x: bench/math.mjs.
inline Vec exp(Vec x) {
  constexpr float kLowest = -87.33654f, kHighest = 88.72283f;
  const Vec clamped = min(max(x, broadcast(kLowest)), broadcast(kHighest));
  constexpr float kMagic = 12582912.0f;  // 1.5·2²³: adding it rounds to an integer, whose bits are then the lowest
  const Vec shifted = clamped * 1.44269504f + kMagic;
  const Vec n = shifted - kMagic;
  const Vec r = (clamped - n * 0.693145752f) - n * 1.42860677e-6f;
  Vec p = broadcast(1.38145557e-3f);
  p = p * r + 8.36873893e-3f;
  p = p * r + 4.1668389e-2f;
  p = p * r + 1.66665211e-1f;
  p = p * r + 0.49999994f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // Times 2ⁿ in the exponent: p < 1 where n is 128, and p ≥ 1 where it is −126, so that all are normal numbers.
  const Vec scaled = as_float(as_bits(p) + (as_bits(shifted) << 23));
  const Vec tiny = x < kLowest ? Vec{} : scaled;
  const Vec huge = x > kHighest ? broadcast(INFINITY) : tiny;
  return x == x ? huge : x;
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
