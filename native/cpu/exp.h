// Exponentials of scaled differences, as softmaxes need them: cheaper than exp(x) of cpu/simd.h because the factor, 1 / T
// say, is folded into the change of base. Included only from per-ISA files (see cpu/kernel.h).
#pragma once
#include "cpu/simd.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr float kLog2E = 1.44269504f;

/// exp_scaled of several vectors in place, step by step together: one by one, each would wait for its own steps, and a
/// processor sees too few of the next ones to fill the time.
template <int count>
inline void exp_scaled(Vec (&d)[count], float scale) {
  constexpr float kMagic = 12582912.0f;  // 1.5·2²³: adding it rounds to an integer, whose bits are then the lowest
  // 1 + r q(r): relative error of 2^r 2e-9 before rounding (scripts/fit-polynomials.mjs).
  constexpr float kFactors[] = {1.53533125e-4f, 1.33989262e-3f, 9.61843785e-3f, 5.55033237e-2f,
                                2.40226477e-1f, 6.93147182e-1f, 1.0f};
  Vec shifted[count], r[count], p[count];
  const auto each = [](const auto& body) {
#pragma GCC unroll 8
    for (int k = 0; k < count; k++) body(k);
  };
  each([&](int k) { r[k] = max(d[k] * scale, broadcast(-127.0f)); });
  each([&](int k) { shifted[k] = r[k] + kMagic; });
  each([&](int k) { r[k] = r[k] - (shifted[k] - kMagic); });  // in [−½, ½], exact
  each([&](int k) { p[k] = broadcast(kFactors[0]); });
#pragma GCC unroll 8
  for (int i = 1; i < 7; i++) each([&](int k) { p[k] = p[k] * r[k] + kFactors[i]; });
  each([&](int k) { d[k] = as_float(as_bits(p[k]) + (as_bits(shifted[k]) << 23)); });
}

/// 2^(d · scale), for products of at most 127; e^(d / T) with scale = log₂ e / T.
/// Within 2 units in the last place of 2 to the product as float32 rounds it, whose own error of half a unit adds
/// 2⁻²⁴ |d / T| to the relative error of e^(d / T). Exactly 1 at 0, and exactly 0 from a product of −127 down; what lies
/// between −126 and −127 comes out as some number from 0 to 2⁻¹²⁶. NaN gives 0.
inline Vec exp_scaled(Vec d, float scale) {
  Vec all[1] = {d};
  exp_scaled(all, scale);
  return all[0];
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
