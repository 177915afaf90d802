// The activations' values and derivatives on vectors. Included only from per-ISA files.
#pragma once
#include "cpu/exp_negative.h"

namespace cfgd::CFGD_ISA {
namespace {

struct ValueAndSlope {
  Vec value, slope;
};

/// The weight of x in x · weight, and that weight's derivative.
struct Gate {
  Vec weight, slope;
};

inline Vec absolute(Vec x) { return as_float(as_int(x) & 0x7fffffff); }

/// Φ(x) and φ(x). The upper tail is Q(a) = e^(−a²/2) · R(a) with R(a) = erfcx(a/√2)/2, which t · P₈(t) with
/// t = 1/(1 + 0.35 a) meets within 4e−7 relative on [0, 14] (a minimax fit of our own). Beyond 13.15, where x · Q(x) is
/// below 1e−36, e^(−a²/2) is taken as 0.
inline Gate normal_gate(Vec x) {
  constexpr float kFar = 13.15f;
  const Vec size = absolute(x), a = min(size, broadcast(kFar));
  // a² exactly enough for the exponential: a = high + low, high of 12 bits, so high² is exact. The rest, below 0.05, joins
  // what is left of −high²/2 when the multiple of ln 2 is gone.
  const Vec high = as_float(as_int(a) & ~0xfff), square = high * high;
  const Vec rest = (a - high) * (a + high) * -0.5f;
  const Vec rounded = square * (-0.5f * kLog2E) + kRounding, n = rounded - kRounding;
  const Vec r = ((square * -0.5f - n * 0.693145752f) - n * 1.42860677e-6f) + rest;
  const Vec bell = size > kFar ? Vec{} : exp_reduced(rounded, r);
  const Vec t = 1.0f / (1.0f + 0.35f * a);
  Vec p = broadcast(-0.02914614f);
  p = p * t + 0.14397271f;
  p = p * t - 0.25571632f;
  p = p * t + 0.1591765f;
  p = p * t - 0.023111418f;
  p = p * t + 0.10550866f;
  p = p * t + 0.1198327f;
  p = p * t + 0.1398619f;
  p = p * t + 0.1396214f;
  const Vec tail = bell * p * t;
  return {x > 0 ? 1.0f - tail : tail, bell * 0.39894228f};
}

/// σ(y) and σ′(y), without overflow and with full relative accuracy for negative y.
inline Gate logistic_gate(Vec y) {
  const Vec e = exp(-absolute(y)), inverse = 1.0f / (1.0f + e), small = e * inverse;
  return {y > 0 ? inverse : small, small * inverse};
}

struct Gelu {
  static Gate gate(Vec x) { return normal_gate(x); }
};

struct GeluTanh {
  static Gate gate(Vec x) {
    // (1 + tanh u) / 2 = σ(2u). Beyond 20 the gate is 0 or 1 exactly, and x³ cannot overflow.
    const Vec c = min(max(x, broadcast(-20.0f)), broadcast(20.0f)), square = c * c;
    const Gate g = logistic_gate(c * (1.5957691f + 0.071354816f * square));
    return {g.weight, g.slope * (1.5957691f + 0.21406445f * square)};
  }
};

struct Silu {
  static Gate gate(Vec x) { return logistic_gate(x); }
};

template <class Kind>
inline Vec value_of(Vec x) {
  return x * Kind::gate(x).weight;
}

template <class Kind>
inline ValueAndSlope value_and_slope(Vec x) {
  const Gate g = Kind::gate(x);
  return {x * g.weight, g.weight + x * g.slope};
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
