// The divergence from a student's next-token distribution to a guided teacher's, with its gradient and a policy-gradient
// term, for every row of logits at once.
//
//   p = softmax(student / T)          q = softmax(guided / T), guided = uncond + scale · (cond − uncond)
//   reverse   D = KL(p ‖ q)           ∂D/∂(z/T)_v = p_v (log(p_v / q_v) − D)
//   forward   D = KL(q ‖ p)           ∂D/∂(z/T)_v = p_v − q_v
//   jsd       D = (1 − w) KL(p ‖ m) + w KL(q ‖ m), m = (1 − w) p + w q
//                                     ∂D/∂(z/T)_v = (1 − w) p_v (log(p_v / m_v) − KL(p ‖ m))
//   loss = Σ_r weights[r] · D_r − Σ_r coefficients[r] · log p_r(tokens[r])
//   grad = ∂loss/∂student, with the factor 1/T that z/T brings
//
// (Distillation of guidance into one pass: arXiv 2410.06084; the generalised Jensen-Shannon divergence: arXiv
// 2306.13649.) All values are in nats; D is at least 0.
//
// Errors on the CPU: exponentials within 2 units in the last place, their arguments rounded to float32 (cpu/exp.h). A
// row's sums are float within parts of 64 additions to each lane of a vector, and double across the parts: whatever the
// vocabulary, a sum's error is at most 64 · 2⁻²⁴ = 3.8e-6 of the sum of its terms' magnitudes, and near 1e-7 in practice
// (tested at 131,072 tokens).
//
// Bytes that must move: three arrays read and one written, once each; the CPU keeps what lies between in scratch memory
// of two or three floats per token and thread. Measured (AMD EPYC with AVX2, reverse divergence, float32 beyond the
// caches, 1 and 2 threads), of a copy's speed: 0.50 and 0.55 at a vocabulary of 2,048, 0.66 and 0.80 at 32,768.
//
// Support: a token that is −∞ in any of the inputs leaves both distributions, which are renormalised over the rest, and
// its gradient is exactly 0. Errors (CFGD_VALUE, naming argument, row and token): an empty support, NaN or +∞ in a
// logit, a token outside [0, vocab) in any row, a token outside the support whose coefficient is not 0, a weight,
// coefficient or scale that is not finite, a guided logit beyond float32. After an error the outputs are undefined.
//
// A row of weight 0 and coefficient 0 is not read: per_token and entropy 0, gradient exactly 0.
#pragma once
#include <cstdint>

namespace cfgd {

enum class Divergence : int32_t { reverse, forward, jsd };

template <class T>
struct DistillationLoss {
  const T* student;       // [rows, vocab]
  const T* cond;          // [rows, vocab]
  const T* uncond;        // [rows, vocab], or null: no guidance, the teacher is cond
  const float* scales;        // [rows], or null: `scale` for every row
  const float* weights;       // [rows], or null: 1
  const int32_t* tokens;      // [rows], or null: no policy term
  const float* coefficients;  // [rows], null exactly when tokens is
  float scale;
  float temperature;  // > 0, and 1 / temperature is finite
  float jsd_weight;   // w, 0 < w < 1; read for jsd only
  Divergence divergence;
  float* loss;       // [1]
  float* per_token;  // [rows]: D
  float* entropy;    // [rows]: that of p
  T* grad;           // [rows, vocab]; may be student, cond or uncond; null exactly when wide_grad is not
  float* wide_grad;  // [rows, vocab]: the gradient of 16-bit logits unrounded; host memory only
  float* row_loss;   // [rows]: memory for the terms of the loss on CUDA, undefined afterwards; null on the CPU
  int64_t rows, vocab;
};
using DistillationLossArgs = DistillationLoss<float>;

}  // namespace cfgd
