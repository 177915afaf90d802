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
template <class T>
struct ActivationForward {
  Activation kind;
  const T* x;  // [n]
  T* y;        // [n]
  int64_t n;
};
using ActivationForwardArgs = ActivationForward<float>;

/// grad_x = grad_y · f′(x)
template <class T>
struct ActivationBackward {
  Activation kind;
  const T* x;       // [n]
  const T* grad_y;  // [n]
  T* grad_x;        // [n]
  int64_t n;
};
using ActivationBackwardArgs = ActivationBackward<float>;

/// y[r, j] = f(x[r, j]) · x[r, n + j]
template <class T>
struct GatedForward {
  Activation kind;
  const T* x;  // [rows, 2n]
  T* y;        // [rows, n]
  int64_t rows, n;
};
using GatedForwardArgs = GatedForward<float>;

/// grad_x[r, j] = grad_y[r, j] · f′(x[r, j]) · x[r, n + j],   grad_x[r, n + j] = grad_y[r, j] · f(x[r, j])
template <class T>
struct GatedBackward {
  Activation kind;
  const T* x;       // [rows, 2n]
  const T* grad_y;  // [rows, n]
  T* grad_x;        // [rows, 2n]
  int64_t rows, n;
};
using GatedBackwardArgs = GatedBackward<float>;

}  // namespace cfgd
