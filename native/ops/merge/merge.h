// Interpolation of weights, element by element.
//
//   lerp              out = (1 − weight) · a + weight · b; a weight outside [0, 1] extrapolates
//   weighted_average  out = Σ_i weights[i] · inputs[i]
//
// (Weight interpolation for quality against diversity: arXiv 2410.06084.) Exact at the ends: a weight of 0 or 1 copies
// an input bit for bit, also when the other holds NaN or infinities; so does an average in which one weight is 1 and
// the others are 0. An input of weight 0 is not read. In between the arithmetic is in double and rounded once, so
// that where the inputs agree the result agrees with them.
#pragma once
#include <cstdint>

namespace cfgd {

struct LerpArgs {
  const float* a;  // [n]
  const float* b;  // [n]
  float* out;      // [n]; may be a or b
  double weight;   // finite
  int64_t n;
};

struct WeightedInput {
  const float* data;  // [n]
  double weight;      // finite
};

/// Followed in memory by `count` WeightedInputs.
struct WeightedAverageArgs {
  float* out;  // [n]; may be one of the inputs
  int64_t n;
  int64_t count;  // ≥ 1
};

}  // namespace cfgd
