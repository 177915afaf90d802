// e^x where x is at most 0, as in a softmax or under a bell curve: half the work of exp for every x.
// Included only from per-ISA files.
#pragma once
#include "cpu/exp.h"

namespace cfgd::CFGD_ISA {
namespace {

/// Adding it to a number between −2²² and 2²² rounds to an integer, which is then in the low bits.
constexpr float kRounding = 12582912.0f;  // 1.5·2²³

/// 2ⁿ · e^r for an integer n = rounded − kRounding of [−126, 0] and |r| ≤ 0.4, within 2 units in the last place: a
/// polynomial of degree 6 (a minimax fit of our own, 8e−9 relative).
inline Vec exp_reduced(Vec rounded, Vec r) {
  Vec p = broadcast(1.37904694e-3f);
  p = p * r + 8.38041306e-3f;
  p = p * r + 4.16697077e-2f;
  p = p * r + 1.66664079e-1f;
  p = p * r + 0.49999985f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * as_float((as_bits(rounded) << 23) + 0x3f800000);
}

/// e^x for x ≤ 0, or above it by no more than 0.1, within 2 units in the last place; 0 for x < −87. NaN gives NaN.
inline Vec exp_negative(Vec x) {
  constexpr float kLowest = -87.0f;
  const Vec clamped = max(broadcast(kLowest), x);  // in this order NaN stays
  const Vec rounded = clamped * kLog2E + kRounding, n = rounded - kRounding;
  const Vec r = (clamped - n * 0.693145752f) - n * 1.42860677e-6f;
  return x < kLowest ? Vec{} : exp_reduced(rounded, r);
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
