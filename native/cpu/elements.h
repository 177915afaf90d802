// Vectors of floats read from and written to memory that holds another type of element: float, bf16 or f16.
// Values are widened in registers and rounded to the nearest, ties to even, when they are written; NaN stays NaN.
// Included only from per-ISA files (see cpu/kernel.h).
#pragma once
#if defined(__AVX__)
#include <immintrin.h>
#endif

#include "cpu/simd.h"
#include "tensor/element.h"

namespace cfgd::CFGD_ISA {
namespace {

typedef uint16_t HalfVec __attribute__((vector_size(kLanes * 2)));
typedef HalfVec UnalignedHalfVec __attribute__((aligned(2), may_alias));

typedef UVec UnalignedUVec __attribute__((aligned(2), may_alias));

/// The bits of v, rounded to those of a bf16 in the upper half of each lane; the lower half holds anything.
inline UVec rounded_to_upper(Vec v) {
  const UVec bits = (UVec)v, rounded = bits + 0x7fff + ((bits >> 16) & 1);
  return v == v ? rounded : bits | 0x400000;  // NaN stays NaN
}

// gcc 12 takes __builtin_convertvector to pieces; for the full mask see below.
#if defined(__AVX512F__)
inline Vec widened_vector(HalfVec bits, bf16) {
  return (Vec)((UVec)_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)bits) << 16);
}
inline HalfVec narrowed_vector(Vec v, bf16) {
  return (HalfVec)_mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)(rounded_to_upper(v) >> 16));
}
#elif defined(__AVX2__)
inline Vec widened_vector(HalfVec bits, bf16) { return (Vec)((UVec)_mm256_cvtepu16_epi32((__m128i)bits) << 16); }
inline HalfVec narrowed_vector(Vec v, bf16) {
  const __m256i upper = (__m256i)(rounded_to_upper(v) >> 16);
  return (HalfVec)_mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packus_epi32(upper, upper), 0x08));
}
#else
inline Vec widened_vector(HalfVec bits, bf16) { return (Vec)(__builtin_convertvector(bits, UVec) << 16); }
inline HalfVec narrowed_vector(Vec v, bf16) { return __builtin_convertvector(rounded_to_upper(v) >> 16, HalfVec); }
#endif

#if defined(__AVX512F__)
// Under a full mask, which costs nothing: gcc 12 warns of the plain forms' unused operand.
inline Vec widened_vector(HalfVec bits, f16) { return (Vec)_mm512_maskz_cvtph_ps(0xffff, (__m256i)bits); }
inline HalfVec narrowed_vector(Vec v, f16) {
  return (HalfVec)_mm512_maskz_cvtps_ph(0xffff, (__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#elif defined(__F16C__)
inline Vec widened_vector(HalfVec bits, f16) { return (Vec)_mm256_cvtph_ps((__m128i)bits); }
inline HalfVec narrowed_vector(Vec v, f16) {
  return (HalfVec)_mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#else
inline Vec widened_vector(HalfVec bits, f16) {
  Vec v;
  for (int i = 0; i < kLanes; i++) v[i] = widened(f16{bits[i]});
  return v;
}
inline HalfVec narrowed_vector(Vec v, f16) {
  HalfVec bits;
  for (int i = 0; i < kLanes; i++) bits[i] = narrowed<f16>(v[i]).bits;
  return bits;
}
#endif

template <class T>
inline Vec load(const T* p) {
  return widened_vector(*reinterpret_cast<const UnalignedHalfVec*>(p), T{});
}
template <class T>
inline void store(T* p, Vec v) {
  *reinterpret_cast<UnalignedHalfVec*>(p) = narrowed_vector(v, T{});
}
/// The first n < kLanes elements; the rest is `fill`.
template <class T>
inline Vec load_part(const T* p, int n, float fill) {
  Vec v = broadcast(fill);
  for (int i = 0; i < n; i++) v[i] = widened(p[i]);
  return v;
}
template <class T>
inline void store_part(T* p, Vec v, int n) {
  const HalfVec bits = narrowed_vector(v, T{});
  std::memcpy(p, &bits, sizeof(T) * n);
}

/// 2 · kLanes neighbouring elements in an order of their own, for arithmetic element by element: quicker to read and
/// write than two vectors.
struct Pair {
  Vec first, second;
};
template <class T>
inline Pair load_pair(const T* p) {
  return {load(p), load(p + kLanes)};
}
template <class T>
inline void store_pair(T* p, Pair v) {
  store(p, v.first);
  store(p + kLanes, v.second);
}
/// Both bf16 of a word where they are: the even ones and the odd ones.
inline UVec narrowed_pair(Pair v) {
  return rounded_to_upper(v.first) >> 16 | (rounded_to_upper(v.second) & 0xffff0000);
}
inline Pair load_pair(const bf16* p) {
  const UVec words = *reinterpret_cast<const UnalignedUVec*>(p);
  return {(Vec)(words << 16), (Vec)(words & 0xffff0000)};
}
inline void store_pair(bf16* p, Pair v) { *reinterpret_cast<UnalignedUVec*>(p) = narrowed_pair(v); }

}  // namespace
}  // namespace cfgd::CFGD_ISA
