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

#if defined(__AVX512F__)
inline IVec extended(HalfVec bits) { return (IVec)_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)bits); }
#elif defined(__AVX2__)
inline IVec extended(HalfVec bits) { return (IVec)_mm256_cvtepu16_epi32((__m128i)bits); }  // gcc 12 takes four steps
#else
inline IVec extended(HalfVec bits) { return __builtin_convertvector(bits, IVec); }
#endif
inline Vec widened_vector(HalfVec bits, bf16) { return as_float(extended(bits) << 16); }

inline HalfVec narrowed_vector(Vec v, bf16) {
  const IVec bits = as_int(v);
  const IVec rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const IVec quiet = (bits >> 16) | 0x40;
  return __builtin_convertvector(v == v ? rounded : quiet, HalfVec);
}

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

}  // namespace
}  // namespace cfgd::CFGD_ISA
