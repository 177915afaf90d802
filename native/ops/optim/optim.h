// The optimiser: the norm of all gradients together, and one AdamW step over all parameters.
//
// Measured (AMD EPYC with AVX2, beyond the caches, 1 and 2 threads): AdamW 1.03 and 1.7 of a copy's speed, the norm 0.80
// and 0.84 of that of reading.
//
// Both take a list of tensors, so their arguments have no fixed size: the struct below, then `count` entries.
#pragma once
#include <cstdint>

namespace cfgd {

struct GlobalNormTensor {
  const float* gradient;  // [n]
  int64_t n;
};

/// How many partial sums a CUDA device makes of the squares of n elements.
constexpr int64_t kNormTile = 16384;
constexpr int64_t norm_tiles(int64_t n) { return (n + kNormTile - 1) / kNormTile; }

/// norm[0] = √(Σ over all elements g²). In double over fixed chunks, combined in order: it cannot overflow on the way,
/// and does not depend on the thread count. A NaN or infinite element is an error (CFGD_VALUE, naming the tensor by its
/// place in the list), and so is a norm beyond float32.
struct GlobalNormArgs {
  int64_t count;
  float* norm;        // [1]
  double* workspace;  // [Σ norm_tiles(n)], content undefined; the CPU does not use it
  // GlobalNormTensor[count]
};

/// What the elements of a step have in common (step.h).
struct AdamWStep {
  double learning_rate;
  float clip, beta1, rest1, beta2, rest2, step_size, inverse_root, epsilon;
};

struct AdamWTensor {
  float* parameter;       // [n]
  const float* gradient;  // [n]
  float* first;           // [n]
  float* second;          // [n]
  int64_t n;
  double weight_decay;
};

/// Adam with decoupled weight decay (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019; Kingma and
/// Ba, "Adam", 2015), at step t = 1, 2, …, with the decay multiplied by the learning rate η as is usual:
///   ĝ = g · min(1, max_norm / norm)         (just g without a norm)
///   m ← β₁ m + (1 − β₁) ĝ,   v ← β₂ v + (1 − β₂) ĝ²
///   θ ← θ (1 − η · decay) − η · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)
/// All in place; nothing is changed when it fails: with a norm that is not a finite number ≥ 0, or, without a norm,
/// when a gradient is not finite (CFGD_VALUE).
///
/// A `schedule` replaces η and t by numbers that are read when the operation runs, so that a recorded step can be
/// replayed: η finite and at least 0, t a whole number from 1 to 2²⁴ (CFGD_VALUE otherwise).
struct AdamWArgs {
  int64_t count;
  double learning_rate, beta1, beta2, epsilon;
  int64_t step;
  const float* norm;      // [1], or null
  double max_norm;        // > 0; infinite: no clipping
  const float* schedule;  // [2]: η, t; or null: learning_rate and step
  AdamWStep* workspace;   // [1], content undefined; the CPU does not use it
  // AdamWTensor[count]
};

}  // namespace cfgd
