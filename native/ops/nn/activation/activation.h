// Activations, plain and gated, each forward with its backward.
//
//   gelu:       x Φ(x), Φ the standard normal distribution function (Hendrycks and Gimpel, "Gaussian error linear
//               units", 2016), by the error function, not an approximation
//   gelu-tanh:  x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, the same paper's approximation
//   silu:       x σ(x), σ(x) = 1 / (1 + e^−x)
//
// Gated (Shazeer, "GLU variants improve transformer", 2020): activation(x[:, :n]) · x[:, n:].
//
// Accuracy for finite x: values within 1e−6 relative, also for negative x, where 1 + erf would cancel (gelu-tanh within
// 1e−6 + 2e−7 · |2u|, u the argument of tanh, which is rounded); results below 1e−36 may be 0. Derivatives within 1e−6
// absolute. NaN gives NaN.
#pragma once
#include <cstdint>

namespace cfgd {

enum class Activation : int32_t { gelu, gelu_tanh, silu };

/// y = f(x)
struct ActivationForwardArgs {
  Activation kind;
  const float* x;  // [n]
  float* y;        // [n]
  int64_t n;
};

/// grad_x = grad_y · f′(x)
struct ActivationBackwardArgs {
  Activation kind;
  const float* x;       // [n]
  const float* grad_y;  // [n]
  float* grad_x;        // [n]
  int64_t n;
};

/// y[r, j] = f(x[r, j]) · x[r, n + j]
struct GatedForwardArgs {
  Activation kind;
  const float* x;  // [rows, 2n]
  float* y;        // [rows, n]
  int64_t rows, n;
};

/// grad_x[r, j] = grad_y[r, j] · f′(x[r, j]) · x[r, n + j],   grad_x[r, n + j] = grad_y[r, j] · f(x[r, j])
struct GatedBackwardArgs {
  Activation kind;
  const float* x;       // [rows, 2n]
  const float* grad_y;  // [rows, n]
  float* grad_x;        // [rows, 2n]
  int64_t rows, n;
};

}  // namespace cfgd
