// 16-bit floating-point elements. Arithmetic is float32: values are widened when they are read and rounded to the
// nearest, ties to even, when they are written.
#pragma once
#include <stdint.h>

#if defined(__CUDACC__)
#define CFGD_ANYWHERE __host__ __device__
#else
#include <string.h>
#define CFGD_ANYWHERE
#endif

namespace cfgd {

/// The upper half of a float32.
struct bf16 {
  uint16_t bits;
};

/// IEEE 754 binary16.
struct f16 {
  uint16_t bits;
};

// In an anonymous namespace: sources that are compiled for several instruction sets include this.
namespace {

CFGD_ANYWHERE inline uint32_t bits_of(float value) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(value);
#else
  return __builtin_bit_cast(uint32_t, value);
#endif
}
CFGD_ANYWHERE inline float float_of_bits(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  return __builtin_bit_cast(float, bits);
#endif
}

CFGD_ANYWHERE inline float widened(float value) { return value; }
CFGD_ANYWHERE inline float widened(bf16 value) { return float_of_bits(static_cast<uint32_t>(value.bits) << 16); }
CFGD_ANYWHERE inline float widened(f16 value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000) << 16, rest = value.bits & 0x7fff;
  if (rest >= 0x7c00) return float_of_bits(sign | 0x7f800000 | rest << 13);
  // The exponent moves by 112 as a product, which is exact for subnormals too.
  return float_of_bits(sign | bits_of(float_of_bits(rest << 13) * 0x1p112f));
}

/// `value` as an element of type T.
template <class T>
CFGD_ANYWHERE T narrowed(float value);
template <>
CFGD_ANYWHERE inline float narrowed<float>(float value) {
  return value;
}
template <>
CFGD_ANYWHERE inline bf16 narrowed<bf16>(float value) {
#if defined(__CUDA_ARCH__)
  bf16 result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
#else
  const uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return {static_cast<uint16_t>(bits >> 16 | 0x40)};  // NaN stays NaN
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
#endif
}
template <>
CFGD_ANYWHERE inline f16 narrowed<f16>(float value) {
#if defined(__CUDA_ARCH__)
  f16 result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
#else
  const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return {static_cast<uint16_t>(sign | 0x7e00 | (rest >> 13 & 0x3ff))};
  if (rest >= 0x477ff000) return {static_cast<uint16_t>(sign | 0x7c00)};  // 65520 and more round to ∞
  if (rest < 0x38800000) {  // subnormal: adding 0.5 leaves the rounded multiple of 2^−24 in the low bits
    return {static_cast<uint16_t>(sign | (bits_of(float_of_bits(rest) + 0.5f) - 0x3f000000))};
  }
  return {static_cast<uint16_t>(sign | ((rest - 0x38000000 + 0xfff + (rest >> 13 & 1)) >> 13))};
#endif
}

}  // namespace
}  // namespace cfgd
