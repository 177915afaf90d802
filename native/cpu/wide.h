// A vector's floats as doubles, in two vectors of half as many. Included only from per-ISA files (see cpu/kernel.h).
#pragma once
#if defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "cpu/elements.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int kHalfLanes = kLanes / 2;
typedef float HalfFloats __attribute__((vector_size(kHalfLanes * 4)));
typedef HalfFloats UnalignedHalfFloats __attribute__((aligned(4), may_alias));
typedef double Doubles __attribute__((vector_size(kHalfLanes * 8)));

struct Wide {
  Doubles low, high;
};

// gcc 12 takes __builtin_convertvector to pieces on AVX; and see elements.h for the full mask.
#if defined(__AVX512F__)
inline Doubles doubles(HalfFloats v) { return (Doubles)_mm512_maskz_cvtps_pd(0xff, (__m256)v); }
inline HalfFloats floats(Doubles v) { return (HalfFloats)_mm512_maskz_cvtpd_ps(0xff, (__m512d)v); }
inline HalfFloats low_half(Vec v) { return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7); }
inline HalfFloats high_half(Vec v) { return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15); }
inline Vec joined(HalfFloats a, HalfFloats b) {
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
#elif defined(__AVX__)
inline Doubles doubles(HalfFloats v) { return (Doubles)_mm256_cvtps_pd((__m128)v); }
inline HalfFloats floats(Doubles v) { return (HalfFloats)_mm256_cvtpd_ps((__m256d)v); }
inline HalfFloats low_half(Vec v) { return __builtin_shufflevector(v, v, 0, 1, 2, 3); }
inline HalfFloats high_half(Vec v) { return __builtin_shufflevector(v, v, 4, 5, 6, 7); }
inline Vec joined(HalfFloats a, HalfFloats b) { return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7); }
#else
inline Doubles doubles(HalfFloats v) { return __builtin_convertvector(v, Doubles); }
inline HalfFloats floats(Doubles v) { return __builtin_convertvector(v, HalfFloats); }
inline HalfFloats low_half(Vec v) { return __builtin_shufflevector(v, v, 0, 1); }
inline HalfFloats high_half(Vec v) { return __builtin_shufflevector(v, v, 2, 3); }
inline Vec joined(HalfFloats a, HalfFloats b) { return __builtin_shufflevector(a, b, 0, 1, 2, 3); }
#endif

/// a · b + c: rounded once where the processor can, and then always, whatever the compiler makes of its surroundings.
/// What is computed twice, here and there, is to come out the same.
#if defined(__AVX512F__)
inline Vec multiply_add(Vec a, Vec b, Vec c) { return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
inline Doubles multiply_add(Doubles a, Doubles b, Doubles c) {
  return (Doubles)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#elif defined(__FMA__) && defined(__AVX__)
inline Vec multiply_add(Vec a, Vec b, Vec c) { return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
inline Doubles multiply_add(Doubles a, Doubles b, Doubles c) {
  return (Doubles)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#elif defined(__aarch64__)
inline Vec multiply_add(Vec a, Vec b, Vec c) { return (Vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
inline Doubles multiply_add(Doubles a, Doubles b, Doubles c) {
  return (Doubles)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#else
inline Vec multiply_add(Vec a, Vec b, Vec c) { return a * b + c; }
inline Doubles multiply_add(Doubles a, Doubles b, Doubles c) { return a * b + c; }
#endif
#if defined(__FMA__) || defined(__aarch64__)
inline float multiply_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double multiply_add(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
inline float multiply_add(float a, float b, float c) { return a * b + c; }
inline double multiply_add(double a, double b, double c) { return a * b + c; }
#endif
inline Doubles broadcast(double x) { return x - Doubles{}; }

/// Each rounded to float32.
inline Vec narrow(Wide w) { return joined(floats(w.low), floats(w.high)); }

/// kLanes elements.
inline Wide load_wide(const float* p) {
  return {doubles(*reinterpret_cast<const UnalignedHalfFloats*>(p)),
          doubles(*reinterpret_cast<const UnalignedHalfFloats*>(p + kHalfLanes))};
}
template <class T>
inline Wide load_wide(const T* p) {
  const Vec v = load(p);
  return {doubles(low_half(v)), doubles(high_half(v))};
}

/// The lanes' sum, in a fixed order.
inline double reduce_add(Doubles v) {
  double sum = v[0];
  for (int i = 1; i < kHalfLanes; i++) sum += v[i];
  return sum;
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
