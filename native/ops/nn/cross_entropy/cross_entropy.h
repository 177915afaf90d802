// Cross-entropy of logits with target tokens, value and gradient in one pass.
#pragma once
#include <cstdint>

namespace cfgd {

/// per_row[r] = −log softmax(logits[r])[targets[r]] in nats,   loss[0] = factor · Σ_r weights[r] · per_row[r],
/// grad[r, v] = factor · weights[r] · (softmax(logits[r])[v] − [v = targets[r]])
///
/// A row with target −1 is not read and not counted: per_row 0, grad exactly 0. A row of weight 0 has grad 0 too, but
/// its per_row is computed. A logit may be −∞ (its gradient is 0), except at the target, where the loss would be
/// infinite: CFGD_VALUE. So are NaN and +∞ logits, a target outside [−1, vocab), and a weight that is not finite; the
/// first faulty row is named. Sums in double.
template <class T>
struct CrossEntropy {
  const T* logits;     // [rows, vocab]
  const int32_t* targets;  // [rows]
  const float* weights;    // [rows], or null: 1
  float factor;
  float* loss;     // [1]
  float* per_row;  // [rows]
  T* grad;     // [rows, vocab]
  int64_t rows, vocab;
};
using CrossEntropyArgs = CrossEntropy<float>;

}  // namespace cfgd
