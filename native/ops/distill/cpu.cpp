#include "ops/distill/distill.h"

#include "cpu/kernel.h"
#include "cpu/scratch.h"
#include "ops/distill/row.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kElementsPerChunk = 8192;  // some 20 µs of work

int64_t rows_per_chunk(int64_t vocab) { return vocab >= kElementsPerChunk ? 1 : kElementsPerChunk / vocab; }

/// Passes 2 and 3 of a row.
RowSums finish_row(const DistillRow& row, const DistillationLossArgs& a, float weight, float coefficient) {
  RowSums sums;
  switch (a.divergence) {
    case Divergence::reverse:
      sums = sum_kl<Divergence::reverse>(row);
      write_gradient<Divergence::reverse>(row, sums, a.temperature, weight, coefficient);
      break;
    case Divergence::forward:
      sums = sum_kl<Divergence::forward>(row);
      write_gradient<Divergence::forward>(row, sums, a.temperature, weight, coefficient);
      break;
    case Divergence::jsd:
      sums = sum_jsd(row, a.jsd_weight);
      write_gradient<Divergence::jsd>(row, sums, a.temperature, weight * (1.0 - a.jsd_weight), coefficient);
      break;
  }
  return sums;
}

/// Writes the outputs of row r and adds its part of the loss.
Flaw distill_row(const DistillationLossArgs& a, int64_t r, double& loss) {
  const int64_t at = r * a.vocab;
  const float weight = a.weights ? a.weights[r] : 1, coefficient = a.tokens ? a.coefficients[r] : 0;
  if (weight - weight != 0) return {"weights", "a finite number", -1, weight};
  if (coefficient - coefficient != 0) return {"policy.coefficients", "a finite number", -1, coefficient};
  const int64_t token = a.tokens ? a.tokens[r] : 0;
  if (token < 0 || token >= a.vocab)
    return {"policy.tokens", "a token of the vocabulary", -1, static_cast<double>(token)};
  if (weight == 0 && coefficient == 0) {
    a.per_token[r] = a.entropy[r] = 0;
    std::memset(a.grad + at, 0, sizeof(float) * static_cast<uint64_t>(a.vocab));
    return {};
  }

  static thread_local Scratch scratch;
  DistillRow row{a.student + at, scratch.get<float>(a.vocab), a.grad + at, a.vocab, 1 / a.temperature};
  Flaw flaw;
  const Guidance guidance = guidance_of(a.scales, a.scale, a.uncond != nullptr, r, flaw);
  if (!flaw) flaw = row.combine(guidance, a.cond + at, a.uncond ? a.uncond + at : nullptr);
  if (flaw) return flaw;
  if (coefficient != 0 && !row.supports(token))
    return {"policy.tokens", "a token that is finite in student, cond and uncond", -1, static_cast<double>(token)};

  const double relative = coefficient != 0 ? row.relative(token) : 0;
  const RowSums sums = finish_row(row, a, weight, coefficient);
  // Rounding alone can take a divergence below 0 and an entropy with it.
  const double divergence = sums.divergence > 0 ? sums.divergence : 0;
  a.per_token[r] = static_cast<float>(divergence);
  a.entropy[r] = sums.entropy > 0 ? static_cast<float>(sums.entropy) : 0;
  loss += weight * divergence;
  if (coefficient != 0) {
    // In double, so that at p = 1 it cancels what pass 3 wrote exactly.
    row.grad[token] -= static_cast<float>(static_cast<double>(coefficient) / a.temperature);
    loss -= coefficient * (relative - sums.log_student);
  }
  return {};
}

int32_t distillation_loss(const DistillationLossArgs& a, const Parallel& parallel, cfgd_status* status) {
  const int64_t grain = rows_per_chunk(a.vocab), chunks = (a.rows + grain - 1) / grain;
  static thread_local Scratch scratch;
  double* losses = scratch.get<double>(chunks + 1);
  Fault fault;
  parallel(a.rows, grain, [&](int64_t begin, int64_t end) {
    double loss = 0;
    for (int64_t r = begin; r < end; r++)
      if (const Flaw flaw = distill_row(a, r, loss)) fault.note(r, flaw);
    losses[begin / grain] = loss;
  });
  double loss = 0;
  for (int64_t i = 0; i < chunks; i++) loss += losses[i];
  *a.loss = static_cast<float>(loss);
  return fault.report(status);
}

}  // namespace

void register_distill(CpuTable& table) { set<DistillationLossArgs, distillation_loss>(table, Op::distillation_loss); }

}  // namespace cfgd::CFGD_ISA
