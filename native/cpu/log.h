// Natural logarithm over vectors. Included only from per-ISA files (see cpu/kernel.h).
#pragma once
#include "cpu/simd.h"

namespace cfgd::CFGD_ISA {
namespace {

/// ln x, within 2 units in the last place, exactly 0 at 1; subnormal numbers included. 0 gives −∞, negative numbers and
/// NaN give NaN, +∞ gives +∞. x = m·2ᵏ with m in [√½, √2), then ln m = 2 artanh s with s = (m − 1) / (m + 1), by a
/// polynomial in s²: relative error 1e-9 before rounding (scripts/fit-polynomials.mjs). Checked for every x:
/// bench/math.mjs.
inline Vec log(Vec x) {
  const Vec magnified = x * 33554432.0f;  // 2²⁵
  const IVec small = x < 1.17549435e-38f;
  const Vec normal = small ? magnified : x;
  const UVec bits = as_bits(normal);
  constexpr uint32_t kRootHalf = 0x3f3504f3;  // the bits of √½
  const IVec k = (IVec)(bits - kRootHalf) >> 23;
  const Vec m = as_float(bits - ((UVec)k << 23));
  const Vec exponent = __builtin_convertvector(k - (small & 25), Vec);
  const Vec s = (m - 1.0f) / (m + 1.0f), s2 = s * s;
  Vec p = broadcast(0.14935869f);
  p = p * s2 + 0.199887708f;
  p = p * s2 + 0.33333388f;
  const Vec ln_m = 2.0f * s + 2.0f * s * (s2 * p);
  // ln 2 in two parts; the product with the first is exact.
  const Vec y = exponent * 0.693145752f + (ln_m + exponent * 1.42860677e-6f);
  const Vec positive = x == INFINITY ? x : y;
  const Vec known = x == 0.0f ? broadcast(-INFINITY) : positive;
  return x >= 0.0f ? known : broadcast(NAN);
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
