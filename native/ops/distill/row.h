// One row of the distillation loss. Included only from per-ISA files (see cpu/kernel.h). Formulas: distill.h.
//
// Three passes, the first over the inputs in memory and the others over what is then in cache:
//   1. combine the teacher's branches into `work`, −∞ outside the support, and find the largest logits;
//   2. sum; what the gradient needs of each token goes to `grad`, whose old content is no longer needed, and `work`;
//   3. write the gradient, now that the row's sums are known.
#pragma once
#include "cpu/log.h"
#include "ops/distill/distill.h"
#include "ops/guidance/combine.h"

namespace cfgd::CFGD_ISA {
namespace {

/// Stands for −∞ in logits relative to the largest, (z − max z) / T: e to this is 0, and unlike ∞ it may be multiplied
/// by 0 and subtracted from itself.
constexpr float kFloor = -1e30f;

struct DistillRow {
  const float* student;
  float* work;  // [vocab]
  float* grad;  // [vocab]; may be student
  int64_t vocab;
  float inverse_temperature;
  float student_max = -INFINITY, teacher_max = -INFINITY;

  /// Pass 1. `cond` and `uncond` may be `grad`.
  Flaw combine(const Guidance& guidance, const float* cond, const float* uncond) {
    const Vec infinity = broadcast(INFINITY);
    Vec largest_z = -infinity, largest_g = -infinity;
    IVec bad = {};
    for_each_vector(0, vocab, [&](int64_t i, auto io) {
      const Vec z = io.load(student + i, -INFINITY);
      const Vec mixed = guidance(io.load(cond + i, 0), guidance.guided ? io.load(uncond + i, 0) : Vec{}, bad);
      bad |= ~(z < infinity);
      const Vec g = z == -infinity ? -infinity : mixed;
      largest_g = max(largest_g, g);
      largest_z = max(largest_z, g == -infinity ? -infinity : z);
      io.store(work + i, g);
    });
    if (any(bad)) return flaw(guidance, cond, uncond);
    student_max = reduce_max(largest_z);
    teacher_max = reduce_max(largest_g);
    if (student_max == -INFINITY)
      return {"student", "a token that is finite in student, cond and uncond", -1, 0, "none"};
    return {};
  }

  Flaw flaw(const Guidance& guidance, const float* cond, const float* uncond) const {
    for (int64_t t = 0; t < vocab; t++) {
      if (!(student[t] < INFINITY)) return {"student", "a finite logit or -Infinity", t, student[t]};
      if (const Flaw found = guidance.flaw(cond, uncond, t, t + 1)) return found;
    }
    return {};
  }

  bool supports(int64_t token) const { return work[token] > -INFINITY; }

  /// (z_t − max z) / T of a token, read before pass 2.
  double relative(int64_t token) const {
    return (static_cast<double>(student[token]) - student_max) * inverse_temperature;
  }

  /// Student and teacher relative to their largest, kFloor outside the support; `g` is from `work`.
  Vec student_of(Vec z, Vec g) const {
    const Vec x = max((z - student_max) * inverse_temperature, broadcast(kFloor));
    return g == -INFINITY ? broadcast(kFloor) : x;
  }
  Vec teacher_of(Vec g) const { return max((g - teacher_max) * inverse_temperature, broadcast(kFloor)); }
};

/// What pass 2 finds out.
struct RowSums {
  double student, teacher;  // Σ e^x of each
  double log_student;       // ln of the former
  double entropy, divergence;
  double mean;  // Σ p_v t_v of the term t_v that pass 3 centres
};

/// Pass 2 of the KL divergences. grad becomes e^x of the student; work the difference of the relative logits (reverse)
/// or e^x of the teacher (forward).
template <Divergence kind>
RowSums sum_kl(const DistillRow& row) {
  double sums[4];
  sum_vectors(row.vocab, sums, [&](int64_t i, auto io, Vec* total) {
    const Vec g = io.load(row.work + i, -INFINITY);
    const Vec xz = row.student_of(io.load(row.student + i, -INFINITY), g), xg = row.teacher_of(g);
    const Vec ez = exp(xz), eg = exp(xg), difference = xz - xg;
    total[0] += ez;
    total[1] += eg;
    total[2] += ez * xz;
    total[3] += (kind == Divergence::reverse ? ez : eg) * difference;
    io.store(row.grad + i, ez);
    io.store(row.work + i, kind == Divergence::reverse ? difference : eg);
  });
  RowSums s{sums[0], sums[1], std::log(sums[0]), 0, 0, 0};
  s.entropy = s.log_student - sums[2] / sums[0];
  const double log_ratio = std::log(sums[1]) - s.log_student;
  if (kind == Divergence::reverse) {
    s.mean = sums[3] / sums[0];
    s.divergence = s.mean + log_ratio;
  } else {
    s.divergence = -sums[3] / sums[1] - log_ratio;
  }
  return s;
}

/// Pass 2 of the generalised Jensen-Shannon divergence, itself in two. grad becomes e^x of the student, work
/// log(p / m).
inline RowSums sum_jsd(const DistillRow& row, float w) {
  double sums[3];
  sum_vectors(row.vocab, sums, [&](int64_t i, auto io, Vec* total) {
    const Vec g = io.load(row.work + i, -INFINITY);
    const Vec xz = row.student_of(io.load(row.student + i, -INFINITY), g), xg = row.teacher_of(g);
    const Vec ez = exp(xz);
    total[0] += ez;
    total[1] += exp(xg);
    total[2] += ez * xz;
    io.store(row.grad + i, xz);
    io.store(row.work + i, xg);
  });
  RowSums s{sums[0], sums[1], std::log(sums[0]), 0, 0, 0};
  s.entropy = s.log_student - sums[2] / sums[0];
  const float inverse_student = static_cast<float>(1 / sums[0]), inverse_teacher = static_cast<float>(1 / sums[1]);
  const float shift = static_cast<float>(std::log(sums[1]) - s.log_student);
  double kl[2];  // KL(p ‖ m), KL(q ‖ m)
  sum_vectors(row.vocab, kl, [&](int64_t i, auto io, Vec* total) {
    const Vec xz = io.load(row.grad + i, kFloor), xg = io.load(row.work + i, kFloor);
    const Vec ez = exp(xz);
    // With δ = log(p / q): m / p = 1 + w (e^−δ − 1) for δ ≥ 0, m / q = 1 + (1 − w) (e^δ − 1) below: no exponential
    // can overflow, and equal distributions give exactly 0.
    const Vec delta = (xz - xg) + shift;
    const IVec above = delta >= 0.0f;
    const Vec part = above ? broadcast(w) : broadcast(1 - w);
    const Vec log_share = log(1.0f + part * (exp(above ? -delta : delta) - 1.0f));
    const Vec log_p_m = (above ? Vec{} : delta) - log_share, log_q_m = -(above ? delta : Vec{}) - log_share;
    total[0] += (ez * inverse_student) * log_p_m;
    total[1] += (exp(xg) * inverse_teacher) * log_q_m;
    io.store(row.grad + i, ez);
    io.store(row.work + i, log_p_m);
  });
  s.divergence = (1 - w) * kl[0] + w * kl[1];
  s.mean = kl[0];
  return s;
}

/// Pass 3: grad = p (weight · (work − mean) + coefficient) / T; for the forward divergence
/// (weight · (p − q) + coefficient · p) / T.
template <Divergence kind>
void write_gradient(const DistillRow& row, const RowSums& s, double temperature, double weight, double coefficient) {
  const float own = static_cast<float>(weight / temperature / s.student);
  const float policy = static_cast<float>(coefficient / temperature / s.student);
  const float mean = static_cast<float>(s.mean);
  // One factor, 1 for equal distributions: their difference is then exactly 0, fused multiply-add or not.
  const float ratio = static_cast<float>(s.student / s.teacher);
  for_each_vector(0, row.vocab, [&](int64_t i, auto io) {
    const Vec ez = io.load(row.grad + i, 0), work = io.load(row.work + i, 0);
    Vec gradient;
    if (kind == Divergence::forward)
      gradient = own * (ez - work * ratio) + ez * policy;
    else
      gradient = (ez * own) * (work - mean) + ez * policy;
    io.store(row.grad + i, gradient + 0.0f);  // −0 becomes 0
  });
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
