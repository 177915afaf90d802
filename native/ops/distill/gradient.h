// One row of the distillation loss, from its sums on: the results and the gradient. Included only from per-ISA files (see
// cpu/kernel.h). Formulas: distill.h.
#pragma once
#include "cpu/stream.h"
#include "ops/distill/row.h"

namespace cfgd::CFGD_ISA {
namespace {

struct RowResult {
  double divergence, entropy;
  double log_student;  // ln Σ e^(d/T) of the student
};

/// The gradient of a block's tokens: what all of them have in common.
template <Divergence kind>
struct BlockGradient {
  float own, policy;     // factors of e^(d/T) of the student
  float shift, inverse;  // reverse: (difference + shift) · inverse is log(p / q) − its mean; jsd: shift is −KL(p ‖ m)
  float student, teacher;  // forward: factors of either e^(d/T), the larger one 1 or nearly

  Vec operator()(Vec e, Vec work) const {
    Vec gradient;
    if (kind == Divergence::reverse)
      gradient = (e * own) * ((work + shift) * inverse) + e * policy;  // exactly 0 where p is 1
    else if (kind == Divergence::forward)
      gradient = own * (e * student - work * teacher) + e * policy;
    else
      gradient = (e * own) * (work + shift) + e * policy;
    return gradient + 0.0f;  // −0 becomes 0
  }
};

template <Divergence kind, class T>
struct DistillGradient {
  DistillRow<T>& row;
  double weight, coefficient, temperature;
  double log_student = 0, log_teacher = 0, mean = 0;  // mean: Σ p_v t_v of the term t_v that the gradient centres

  /// The row's results; to be called before `write`.
  RowResult finish(float jsd_weight) {
    const RowSums& s = row.sums;
    log_student = std::log(s.student), log_teacher = std::log(s.teacher);
    RowResult result{0, log_student - s.moment / s.student * row.inverse, log_student};
    if (kind == Divergence::reverse) {
      mean = s.difference / s.student * row.inverse;
      result.divergence = mean + (log_teacher - log_student);
    } else if (kind == Divergence::forward) {
      result.divergence = -(s.difference / s.teacher) * row.inverse - (log_teacher - log_student);
    } else {
      double kl[2];
      mix(jsd_weight, kl);
      result.divergence = (1 - static_cast<double>(jsd_weight)) * kl[0] + jsd_weight * kl[1];
      mean = kl[0];
      weight *= 1 - static_cast<double>(jsd_weight);
    }
    // Rounding alone can take a divergence below 0 and an entropy with it.
    if (!(result.divergence > 0)) result.divergence = 0;
    if (!(result.entropy > 0)) result.entropy = 0;
    return result;
  }

  /// Writes the gradient, which may be over the inputs: they are no longer needed. The blocks that are still in the
  /// nearest cache come first. `streamed`: past the cache.
  template <class G>
  void write(G* grad, int64_t token, bool streamed) const {
    for (int64_t b = DistillRow<T>::blocks_of(row.vocab) - 1; b >= 0; b--) {
      const int64_t begin = b * kBlock, end = begin + kBlock < row.vocab ? begin + kBlock : row.vocab;
      const BlockGradient<kind> block = of_block(b);
      const float *const own = row.own, *const work = kind == Divergence::forward ? row.other : row.difference;
      const auto at = [&](int64_t i, auto io) { io.store(grad + i, block(load(own + i), load(work + i))); };
      int64_t i = begin;
      if (streamed) {
        i += before_line(grad + begin, end - begin);
        for_each_vector(begin, i, at);
        for (; i + kOfLine<G> <= end; i += kOfLine<G>)
          for (int64_t k = i; k < i + kOfLine<G>; k += kLanes) stream(grad + k, block(load(own + k), load(work + k)));
      }
      for_each_vector(i, end, at);
      if (token < begin || token >= end) continue;
      // In float32, so that at p = 1 it cancels the policy's part exactly.
      const Vec whole = block(broadcast(own[token]), broadcast(work[token]));
      grad[token] = narrowed<G>(whole[0] - static_cast<float>(coefficient / temperature));
    }
  }

 private:
  /// How far below the final ones the largest logits of a block were, over T.
  void below(int64_t b, double& z, double& g) const {
    const Largest& then = row.largest_of[b];
    const bool none = then.student == -INFINITY;  // nothing in it is in the support: all exponentials are 0
    z = none ? 0 : (static_cast<double>(then.student) - row.largest.student) * row.inverse;
    g = none ? 0 : (static_cast<double>(then.teacher) - row.largest.teacher) * row.inverse;
  }

  BlockGradient<kind> of_block(int64_t b) const {
    double z, g;
    below(b, z, g);
    const double lower_z = std::exp(z), lower_g = std::exp(g);
    BlockGradient<kind> block{};
    block.policy = static_cast<float>(coefficient / temperature / row.sums.student * lower_z);
    block.own = static_cast<float>(weight / temperature / row.sums.student * lower_z);
    block.inverse = static_cast<float>(row.inverse);
    const Largest& then = row.largest_of[b];
    // Of the reverse divergence in logits, as `difference` is.
    if (kind == Divergence::reverse && then.student > -INFINITY)
      block.shift = static_cast<float>((static_cast<double>(then.student) - row.largest.student) -
                                       (static_cast<double>(then.teacher) - row.largest.teacher) -
                                       row.sums.difference / row.sums.student);
    else if (kind != Divergence::reverse)
      block.shift = static_cast<float>(-mean);
    if (kind == Divergence::forward) {
      // Both factors are 1 for equal distributions: their difference is then exactly 0, fused multiply-add or not.
      const double top = lower_z > lower_g ? lower_z : lower_g;
      block.own = static_cast<float>(weight / temperature / row.sums.student * top);
      block.student = static_cast<float>(lower_z / top);
      block.teacher = static_cast<float>(lower_g / top * (row.sums.student / row.sums.teacher));
    }
    return block;
  }

  /// Of the Jensen-Shannon divergence: KL(p ‖ m) and KL(q ‖ m). `difference` becomes log(p / m).
  void mix(float w, double (&kl)[2]) const {
    kl[0] = kl[1] = 0;
    for (int64_t b = DistillRow<T>::blocks_of(row.vocab) - 1; b >= 0; b--) {
      const int64_t begin = b * kBlock, end = begin + kBlock < row.vocab ? begin + kBlock : row.vocab;
      double z, g;
      below(b, z, g);
      const auto p_factor = static_cast<float>(std::exp(z) / row.sums.student);
      const auto q_factor = static_cast<float>(std::exp(g) / row.sums.teacher);
      const auto shift = static_cast<float>(z - g + (log_teacher - log_student));
      const auto inverse = static_cast<float>(row.inverse);
      const float *const own = row.own, *const other = row.other;
      float* const difference = row.difference;
      for (int64_t at = begin; at < end; at += kPart) {
        const int64_t stop = at + kPart < end ? at + kPart : end;
        Vec total[2] = {};
        for (int64_t i = at; i < stop; i += kLanes) {
          // With δ = log(p / q): m / p = 1 + w (e^−δ − 1) for δ ≥ 0, m / q = 1 + (1 − w) (e^δ − 1) below: no
          // exponential can overflow, and equal distributions give exactly 0.
          const Vec delta = load(difference + i) * inverse + shift;
          const IVec above = delta >= 0.0f;
          const Vec part = above ? broadcast(w) : broadcast(1 - w);
          const Vec log_share = log(1.0f + part * (exp_scaled(above ? -delta : delta, kLog2E) - 1.0f));
          const Vec log_p_m = (above ? Vec{} : delta) - log_share, log_q_m = -(above ? delta : Vec{}) - log_share;
          total[0] += (load(own + i) * p_factor) * log_p_m;
          total[1] += (load(other + i) * q_factor) * log_q_m;
          store(difference + i, log_p_m);
        }
        kl[0] += reduce_add(total[0]);
        kl[1] += reduce_add(total[1]);
      }
    }
  }
};

}  // namespace
}  // namespace cfgd::CFGD_ISA
