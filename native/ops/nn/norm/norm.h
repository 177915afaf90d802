// Normalisation of rows, each forward with its backward. x is [rows, n], n ≥ 1; rows are independent.
#pragma once
#include <cstdint>

namespace cfgd {

/// The gradients of gain and bias are summed over rows within chunks of them, and then over the chunks. A CUDA device
/// makes its chunks from the number of rows alone: rows in each, and how many.
constexpr int64_t norm_chunk_rows(int64_t rows) {
  const int64_t even = ((rows + 255) / 256 + 7) / 8 * 8;  // some 256 chunks, so that every multiprocessor has work
  return even < 8 ? 8 : even > 256 ? 256 : even;
}
constexpr int64_t norm_chunks(int64_t rows) { return (rows + norm_chunk_rows(rows) - 1) / norm_chunk_rows(rows); }

/// Layer normalisation (Ba, Kiros, Hinton, "Layer normalization", 2016):
///   mean = Σ x / n,   inverse_std = 1 / √(Σ (x − mean)² / n + ε),   y = (x − mean) · inverse_std · gain + bias
template <class T>
struct LayerNormForward {
  const T* x;     // [rows, n]
  const float* gain;  // [n]
  const float* bias;  // [n], or null
  float epsilon;      // > 0
  T* y;            // [rows, n]
  float* mean;         // [rows]
  float* inverse_std;  // [rows]
  int64_t rows, n;
};
using LayerNormForwardArgs = LayerNormForward<float>;

/// With x̂ = (x − mean) · inverse_std and g = grad_y · gain:
///   grad_x = inverse_std · (g − Σ g / n − x̂ · Σ (g · x̂) / n)
///   grad_gain = Σ_rows grad_y · x̂,   grad_bias = Σ_rows grad_y
/// Sums over rows: float within chunks of rows that depend on the problem's size alone, double across.
template <class T>
struct LayerNormBackward {
  const T* grad_y;       // [rows, n]
  const T* x;            // [rows, n]
  const float* gain;         // [n]
  const float* mean;         // [rows]
  const float* inverse_std;  // [rows]
  T* grad_x;     // [rows, n]
  float* grad_gain;  // [n]
  float* grad_bias;  // [n], or null
  int64_t rows, n;
  float* workspace;  // [norm_chunks(rows), 2, n], content undefined; the CPU does not use it
};
using LayerNormBackwardArgs = LayerNormBackward<float>;

/// RMS normalisation (Zhang and Sennrich, "Root mean square layer normalization", 2019):
///   inverse_rms = 1 / √(Σ x² / n + ε),   y = x · inverse_rms · gain
template <class T>
struct RmsNormForward {
  const T* x;     // [rows, n]
  const float* gain;  // [n]
  float epsilon;      // > 0
  T* y;            // [rows, n]
  float* inverse_rms;  // [rows]
  int64_t rows, n;
};
using RmsNormForwardArgs = RmsNormForward<float>;

/// With x̂ = x · inverse_rms and g = grad_y · gain:
///   grad_x = inverse_rms · (g − x̂ · Σ (g · x̂) / n),   grad_gain = Σ_rows grad_y · x̂
template <class T>
struct RmsNormBackward {
  const T* grad_y;       // [rows, n]
  const T* x;            // [rows, n]
  const float* gain;         // [n]
  const float* inverse_rms;  // [rows]
  T* grad_x;     // [rows, n]
  float* grad_gain;  // [n]
  int64_t rows, n;
  float* workspace;  // [norm_chunks(rows), n], content undefined; the CPU does not use it
};
using RmsNormBackwardArgs = RmsNormBackward<float>;

/// inverse_norm = 1 / √(Σ x²), y = x · inverse_norm. A row shorter than 1.2e−38, the least normal float32, counts as
/// zero: y and inverse_norm are 0, and so is its gradient. The sum is in double: no overflow, no underflow.
struct L2NormalizeForwardArgs {
  const float* x;       // [rows, n]
  float* y;             // [rows, n]
  float* inverse_norm;  // [rows]
  int64_t rows, n;
};

/// grad_x = inverse_norm · (grad_y − y · Σ (grad_y · y))
struct L2NormalizeBackwardArgs {
  const float* grad_y;        // [rows, n]
  const float* y;             // [rows, n]
  const float* inverse_norm;  // [rows]
  float* grad_x;              // [rows, n]
  int64_t rows, n;
};

}  // namespace cfgd
