// Interpolation of weights, element by element.
//
//   lerp              out = (1 − weight) · a + weight · b; a weight outside [0, 1] extrapolates
//   weighted_average  out = Σ_i weights[i] · inputs[i]
//   slerp             below
//
// (Weight interpolation for quality against diversity: arXiv 2410.06084.) Exact at the ends: a weight of 0 or 1 copies
// an input bit for bit, also when the other holds NaN or infinities; so does an average in which one weight is 1 and
// the others are 0. An input of weight 0 is not read. In between sums are made in double for float32 elements and in
// float32 for narrower ones, input by input, then rounded to the type of the elements:
//
//   float32        within half a unit in the last place, but for 2^−52 (n + 2) Σ_i |weights[i] · inputs[i]|
//   bf16 and f16   within half a unit in the last place, but for 2^−24 (n + 2) Σ_i |weights[i] · inputs[i]|
//
// Where the inputs agree the result agrees with them, for weights that add up to 1, with (n + 2) Σ_i |weights[i]| < 4096.
// Sums of float32 elements do not overflow on the way; those of bf16 do where the terms' sizes add up to more than
// float32 holds. On CUDA an average of more than kAverageInputs inputs is rounded
// to their type once for each so many.
//
// The CPU reads each input and writes the output once, slerp reads its inputs twice. Measured (AMD EPYC with AVX2, float32
// beyond the caches, 1 and 2 threads), of a copy's speed, whose own stores go through the caches: lerp 1.3 and 1.4,
// averages of 2, 3 and 8 1.4 and 1.4, 0.98 and 1.1, 1.06 and 1.2, slerp 0.73 and 1.1.
//
// T is float, bf16 or f16 (tensor/element.h).
#pragma once
#include <cstdint>

namespace cfgd {

template <class T>
struct Lerp {
  const T* a;     // [n]
  const T* b;     // [n]
  T* out;         // [n]; may be a or b
  double weight;  // finite
  int64_t n;
};
using LerpArgs = Lerp<float>;

template <class T>
struct Weighted {
  const T* data;  // [n]
  double weight;  // finite
};
using WeightedInput = Weighted<float>;

/// Followed in memory by `count` Weighted<T>.
template <class T>
struct WeightedAverage {
  T* out;  // [n]; may be one of the inputs
  int64_t n;
  int64_t count;  // ≥ 1
};
using WeightedAverageArgs = WeightedAverage<float>;

constexpr int64_t kAverageInputs = 128;

/// How many partial sums a CUDA device makes of n products.
constexpr int64_t kProductTile = 16384;
constexpr int64_t product_tiles(int64_t n) { return (n + kProductTile - 1) / kProductTile; }

/// a·a, a·b, b·b, of all elements; then what a and b are multiplied by.
constexpr int64_t kSlerpSums = 5;

/// Spherical interpolation of a and b as flat vectors (slerp.h): the products in double over fixed chunks, added in
/// order; then as lerp. Weight 0 and 1 copy an input, as lerp does, and look at no sum. CFGD_VALUE: a product that is
/// not finite, opposite directions.
template <class T>
struct Slerp {
  const T* a;         // [n]
  const T* b;         // [n]
  T* out;             // [n]; may be a or b; null: only the products
  double weight;      // finite
  int64_t n;
  double* sums;       // [kSlerpSums], content undefined
  double* workspace;  // [3 · product_tiles(n)], content undefined; the CPU does not use it
};
using SlerpArgs = Slerp<float>;

}  // namespace cfgd
