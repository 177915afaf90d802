// The activations' values and derivatives of one number: those of functions.h in scalar form. Device code.
#pragma once
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

#include "tensor/element.h"

namespace cfgd {

/// The weight of x in x · weight, and that weight's derivative.
struct Gate {
  float weight, slope;
};

/// Φ(x) and φ(x). The upper tail is Q(a) = e^(−a²/2) · R(a) with R(a) = erfcx(a/√2)/2, which t · P₈(t) with
/// t = 1/(1 + 0.35 a) meets within 4e−7 relative on [0, 14] (a minimax fit of our own); beyond 13.2, where e^(−a²/2)
/// leaves the normal numbers, it counts as 0, also beside the largest x.
__device__ inline Gate normal_gate(float x) {
  const float a = fminf(fabsf(x), 14.0f);
  // a² exactly enough for the exponential: a = high + low, high of 12 bits, so high² is exact.
  const float high = float_of_bits(bits_of(a) & ~0xfffu);
  const float rest = (a - high) * (a + high) * -0.5f;  // |rest| < 0.05
  const float correction = fmaf(rest, fmaf(rest, fmaf(rest, 0.16666667f, 0.5f), 1.0f), 1.0f);
  const float bell = a > 13.2f ? 0.0f : expf(high * high * -0.5f) * correction;
  const float t = __fdividef(1.0f, fmaf(0.35f, a, 1.0f));
  float p = -0.02914614f;
  p = fmaf(p, t, 0.14397271f);
  p = fmaf(p, t, -0.25571632f);
  p = fmaf(p, t, 0.1591765f);
  p = fmaf(p, t, -0.023111418f);
  p = fmaf(p, t, 0.10550866f);
  p = fmaf(p, t, 0.1198327f);
  p = fmaf(p, t, 0.1398619f);
  p = fmaf(p, t, 0.1396214f);
  const float tail = bell * p * t;
  return {x > 0 ? 1.0f - tail : tail, bell * 0.39894228f};
}

/// σ(y) and σ′(y), without overflow and with full relative accuracy for negative y.
__device__ inline Gate logistic_gate(float y) {
  const float e = expf(-fabsf(y)), inverse = __fdividef(1.0f, 1.0f + e), small = e * inverse;
  return {y > 0 ? inverse : small, small * inverse};
}

struct Gelu {
  __device__ static Gate gate(float x) { return normal_gate(x); }
};

struct GeluTanh {
  __device__ static Gate gate(float x) {
    // (1 + tanh u) / 2 = σ(2u). Beyond 20 the gate is 0 or 1 exactly, and x³ cannot overflow.
    const float c = fminf(fmaxf(x, -20.0f), 20.0f), square = c * c;
    const Gate g = logistic_gate(c * fmaf(0.071354816f, square, 1.5957691f));
    return {g.weight, g.slope * fmaf(0.21406445f, square, 1.5957691f)};
  }
};

struct Silu {
  __device__ static Gate gate(float x) { return logistic_gate(x); }
};

template <class Kind>
__device__ float value_of(float x) {
  return x * Kind::gate(x).weight;
}

struct ValueAndSlope {
  float value, slope;
};

template <class Kind>
__device__ ValueAndSlope value_and_slope(float x) {
  const Gate g = Kind::gate(x);
  return {x * g.weight, fmaf(x, g.slope, g.weight)};
}

}  // namespace cfgd
