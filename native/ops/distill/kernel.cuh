// The kernel of the distillation loss. Formulas: distill.h.
#pragma once
#include <cuda_runtime.h>

#include "cuda/fault.cuh"
#include "cuda/launch.cuh"
#include "cuda/team.cuh"
#include "ops/distill/distill.h"
#include "ops/distill/faults.h"
#include "ops/distill/row.cuh"

namespace cfgd {

// Threads of a multiprocessor; their registers allow no more.
constexpr int kThreadsCached = 1024, kThreadsUncached = 512;

/// What is wrong with a row before its logits are looked at, or kSound; `item` as faults.h has it.
template <class T>
__device__ int flaw_of_row(const DistillationLoss<T>& a, float weight, float coefficient, int64_t token, int64_t& item) {
  const int in_weight = flaw_of(weight, 0), in_coefficient = flaw_of(coefficient, 3);
  item = in_weight != kSound ? in_weight : in_coefficient;
  if (item != kSound) return kRowValue;
  item = token < 0 ? -1 - token : token;
  if (token < 0) return kTokenBelow;
  return token >= a.vocab ? kTokenBeyond : kSound;
}

/// The number of a fault in an element.
__device__ inline int flaw_of_element(const Guidance& guidance, float z, float c, float u, int64_t token, int64_t& item) {
  item = token;
  if (z < INFINITY) return guidance.flaw(c, u);
  item = 2 * token + (z == INFINITY);
  return kStudent;
}

/// One team of blocks per row, a team of one where the row fits into the shared memory of a block.
///
/// Memory moved: three reads and a write of [rows, vocab], the least possible, when the shares of a row are cached: the
/// student's logits as they came and the guided ones in float32, 6 or 8 bytes per token. Exponentials are computed
/// twice rather than kept. Shares are small enough for two blocks on a multiprocessor, one of which computes while the
/// other waits for memory; only rows too long for that fill it alone. Rows too long for any team's shared memory are read
/// once per visit, three times in all (four for the Jensen-Shannon divergence).
template <class T, Divergence kind, int kThreads, bool kCached>
__global__ void __launch_bounds__(kThreads, (kCached ? kThreadsCached : kThreadsUncached) / kThreads)
    distill_rows(DistillationLoss<T> a, int team_size, FaultPort port) {
  CFGD_DYNAMIC_SHARED(unsigned char, memory);
  if (skipped(port)) return;
  const Team team = Team::of_size(team_size);
  const int64_t r = blockIdx.x / static_cast<unsigned>(team_size);
  const bool speaks = team.rank == 0 && threadIdx.x == 0;
  const float weight = a.weights ? a.weights[r] : 1.0f, coefficient = a.tokens ? a.coefficients[r] : 0.0f;
  const int64_t token = a.tokens ? a.tokens[r] : 0;
  int64_t item = 0;
  int flaw = flaw_of_row(a, weight, coefficient, token, item);
  if (flaw != kSound) {
    if (speaks) raise_fault(port, r, item, flaw);
    return;
  }

  // This block's share of the row.
  constexpr int kCount = kPack<T>;
  const int64_t share = (a.vocab + team_size * kCount - 1) / (team_size * kCount) * kCount;
  const int64_t begin = team.rank * share < a.vocab ? team.rank * share : a.vocab;
  const int64_t at = r * a.vocab + begin;
  DistillRow<T, kCached> row;
  row.length = static_cast<int>(a.vocab - begin < share ? a.vocab - begin : share);
  row.grad = a.grad + at;
  if (weight == 0 && coefficient == 0) {
    for (int i = static_cast<int>(threadIdx.x); i < row.length; i += kThreads) row.grad[i] = narrowed<T>(0);
    if (speaks) a.per_token[r] = a.entropy[r] = a.row_loss[r] = 0;
    return;
  }
  const float inverse_temperature = 1 / a.temperature;
  row.guidance = {a.uncond && a.scales ? a.scales[r] : a.scale, a.uncond != nullptr};
  flaw = row.guidance.flaw();
  if (flaw != kSound) {
    if (speaks) raise_fault(port, r, 0, flaw);
    return;
  }
  row.student = a.student + at;
  row.cond = a.cond + at;
  row.uncond = (a.uncond ? a.uncond : a.cond) + at;
  row.lay_out(memory);

  // The policy's token, before a gradient can have been written over it.
  float token_student = 0, token_guided = 0;
  if (coefficient != 0) {
    const int64_t place = r * a.vocab + token;
    token_student = widened(a.student[place]);
    token_guided = row.combined(token_student, widened(a.cond[place]), a.uncond ? widened(a.uncond[place]) : 0.0f);
  }

  int phase = 0;
  float largest[3];
  row.template combine<kThreads>(largest);
  reduce_team<Maximum, kThreads>(team, largest, phase);
  if (largest[2] != 0) {
    const unsigned past = static_cast<unsigned>(a.vocab - begin);  // of the row
    unsigned found[1] = {row.template first_fault<kThreads>(past)};
    reduce_team<Maximum, kThreads>(team, found, phase);
    if (speaks) {
      const int64_t t = a.vocab - found[0], place = r * a.vocab + t;
      flaw = flaw_of_element(row.guidance, widened(a.student[place]), widened(a.cond[place]),
                             a.uncond ? widened(a.uncond[place]) : 0.0f, t, item);
      raise_fault(port, r, item, flaw);
    }
    return team.synchronize();
  }
  if (largest[0] == -INFINITY || (coefficient != 0 && token_guided == -INFINITY)) {
    const bool empty = largest[0] == -INFINITY;
    if (speaks) raise_fault(port, r, empty ? 0 : token, empty ? kEmptySupport : kTokenUnsupported);
    return team.synchronize();
  }
  const Relative relative{largest[0], largest[1], inverse_temperature};

  // Σ e^x of student and teacher, Σ e^x x of the student, Σ e^x (x − x') of the distribution that KL runs over.
  constexpr int kSums = kind == Divergence::jsd ? 3 : 4;
  ThreadSums<kSums> sums;
  row.template visit<kThreads>([&](int i, auto several) {
    float z[several.value], g[several.value];
    row.recall(i, z, g);
    float terms[kSums] = {};
#pragma unroll
    for (int k = 0; k < several.value; k++) {
      const float xz = relative.student(z[k], g[k]), xg = relative.teacher(g[k]);
      const float ez = expf(xz), eg = expf(xg);
      terms[0] += ez;
      terms[1] += eg;
      terms[2] += ez * xz;
      if constexpr (kind != Divergence::jsd) terms[3] += (kind == Divergence::reverse ? ez : eg) * (xz - xg);
    }
    sums.add(terms);
  });
  double total[kSums];
#pragma unroll
  for (int i = 0; i < kSums; i++) total[i] = sums.of[i];
  reduce_team<Sum, kThreads>(team, total, phase);

  const float student_sum = static_cast<float>(total[0]), teacher_sum = static_cast<float>(total[1]);
  // 1 for equal distributions: their difference is then exactly 0, fused multiply-add or not.
  const float ratio = student_sum / teacher_sum;
  float mean = 0;           // Σ p_v t_v of the term t_v that the gradient centres
  double kl[2] = {0, 0};    // KL(p ‖ m), KL(q ‖ m)
  const float shift = kind == Divergence::jsd ? -logf(ratio) : 0;
  if constexpr (kind == Divergence::reverse) mean = static_cast<float>(total[3]) / student_sum;
  if constexpr (kind == Divergence::jsd) {
    const float inverse_student = 1 / student_sum, inverse_teacher = 1 / teacher_sum;
    ThreadSums<2> divergences;
    row.template visit<kThreads>([&](int i, auto several) {
      float z[several.value], g[several.value];
      row.recall(i, z, g);
      float terms[2] = {};
#pragma unroll
      for (int k = 0; k < several.value; k++) {
        const float xz = relative.student(z[k], g[k]), xg = relative.teacher(g[k]);
        const JsdTerm term = JsdTerm::of((xz - xg) + shift, a.jsd_weight);
        terms[0] += expf(xz) * inverse_student * term.p_m;
        terms[1] += expf(xg) * inverse_teacher * term.q_m;
      }
      divergences.add(terms);
    });
    kl[0] = divergences.of[0], kl[1] = divergences.of[1];
    reduce_team<Sum, kThreads>(team, kl, phase);
    mean = static_cast<float>(kl[0]);
  }

  // The gradient: p (weight · (t − mean) + coefficient) / T; for the forward divergence
  // (weight · (p − q) + coefficient · p) / T.
  const float part = kind == Divergence::jsd ? weight * (1 - a.jsd_weight) : weight;
  const float own = part / a.temperature / student_sum, at_token = coefficient / a.temperature;
  const float policy = at_token / student_sum;
  const int own_token = coefficient != 0 ? static_cast<int>(token - begin) : -1;
  row.template visit<kThreads>([&](int i, auto several) {
    float z[several.value], g[several.value];
    row.recall(i, z, g);
#pragma unroll
    for (int k = 0; k < several.value; k++) {
      const float xz = relative.student(z[k], g[k]), xg = relative.teacher(g[k]), ez = expf(xz);
      float gradient;
      if constexpr (kind == Divergence::forward) {
        gradient = own * (ez - expf(xg) * ratio);
      } else if constexpr (kind == Divergence::reverse) {
        gradient = ez * own * ((xz - xg) - mean);
      } else {
        gradient = ez * own * (JsdTerm::of((xz - xg) + shift, a.jsd_weight).p_m - mean);
      }
      gradient += ez * policy;
      if (i + k == own_token) gradient -= at_token;
      z[k] = gradient + 0.0f;  // −0 becomes 0
    }
    row.write(i, z);
  });

  if (speaks) {
    const double log_student = log(total[0]), log_ratio = log(total[1]) - log_student;
    double divergence;
    if constexpr (kind == Divergence::reverse)
      divergence = total[3] / total[0] + log_ratio;
    else if constexpr (kind == Divergence::forward)
      divergence = -total[3] / total[1] - log_ratio;
    else
      divergence = (1 - a.jsd_weight) * kl[0] + a.jsd_weight * kl[1];
    // Rounding alone can take a divergence below 0 and an entropy with it.
    if (!(divergence > 0)) divergence = 0;
    const double entropy = log_student - total[2] / total[0];
    double loss = weight * divergence;
    if (coefficient != 0)
      loss -= coefficient * ((static_cast<double>(token_student) - largest[0]) * inverse_temperature - log_student);
    a.per_token[r] = static_cast<float>(divergence);
    a.entropy[r] = entropy > 0 ? static_cast<float>(entropy) : 0;
    a.row_loss[r] = static_cast<float>(loss);
  }
  team.synchronize();
}

}  // namespace cfgd
