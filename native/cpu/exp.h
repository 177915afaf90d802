// Exponentials of scaled differences, as softmaxes need them: cheaper than exp(x) of cpu/simd.h because the factor, 1 / T
// say, is folded into the change of base. Included only from per-ISA files (see cpu/kernel.h).
#pragma once
#include "cpu/simd.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr float kLog2E = 1.44269504f;

/// 2^(d · scale), for products of at most 127; e^(d / T) with scale = log₂ e / T.
/// Within 2 units in the last place of 2 to the product as float32 rounds it, whose own error of half a unit adds
/// 2⁻²⁴ |d / T| to the relative error of e^(d / T). Exactly 1 at 0, and exactly 0 from a product of −127 down; what lies
/// between −126 and −127 comes out as some number from 0 to 2⁻¹²⁶. NaN gives 0.
inline Vec exp_scaled(Vec d, float scale) {
  const Vec t = max(d * scale, broadcast(-127.0f));
  constexpr float kMagic = 12582912.0f;  // 1.5·2²³: adding it rounds to an integer, whose bits are then the lowest
  const Vec shifted = t + kMagic;
  const Vec r = t - (shifted - kMagic);  // in [−½, ½], exact
  // 1 + r q(r): relative error of 2^r 2e-9 before rounding (scripts/fit-polynomials.mjs).
  Vec p = broadcast(1.53533125e-4f);
  p = p * r + 1.33989262e-3f;
  p = p * r + 9.61843785e-3f;
  p = p * r + 5.55033237e-2f;
  p = p * r + 2.40226477e-1f;
  p = p * r + 6.93147182e-1f;
  p = p * r + 1.0f;
  return as_float(as_bits(p) + (as_bits(shifted) << 23));
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
