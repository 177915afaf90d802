#include "ops/distill/distill.h"

#include "cpu/kernel.h"
#include "cpu/scratch.h"
#include "ops/distill/gradient.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kElementsPerChunk = 16384;  // some 10 µs of work

int64_t rows_per_chunk(int64_t vocab) { return vocab >= kElementsPerChunk ? 1 : kElementsPerChunk / vocab; }

/// One row's arguments.
struct RowWeights {
  float weight, coefficient;
  int64_t token;
  bool streamed;  // whether the gradient is
};

/// Writes the outputs of row r and adds its part of the loss.
template <Divergence kind, class T, class G>
Flaw distill_row(const DistillationLoss<T>& a, G* grad, int64_t r, const RowWeights& w, double& loss) {
  static thread_local Scratch scratch;
  const int64_t at = r * a.vocab;
  Flaw flaw;
  DistillRow<T> row{};
  row.student = a.student + at, row.cond = a.cond + at, row.uncond = a.uncond ? a.uncond + at : nullptr;
  row.vocab = a.vocab;
  row.guidance = guidance_of(a.scales, a.scale, a.uncond != nullptr, r, flaw);
  if (flaw) return flaw;
  row.set_temperature(a.temperature);
  row.use(scratch);
  if ((flaw = row.template read<kind>())) return flaw;
  if (w.coefficient != 0 && !row.supports(w.token))
    return {"policy.tokens", "a token that is finite in student, cond and uncond", -1, static_cast<double>(w.token)};

  // Before the gradient is written, which may be over it.
  const double relative =
      (static_cast<double>(widened(row.student[w.token])) - row.largest.student) * row.inverse;
  DistillGradient<kind, T> gradient{row, w.weight, w.coefficient, a.temperature};
  const RowResult result = gradient.finish(a.jsd_weight);
  gradient.write(grad + at, w.coefficient != 0 ? w.token : -1, w.streamed);
  a.per_token[r] = static_cast<float>(result.divergence);
  a.entropy[r] = static_cast<float>(result.entropy);
  loss += w.weight * result.divergence;
  if (w.coefficient != 0) loss -= w.coefficient * (relative - result.log_student);
  return {};
}

template <class T, class G>
Flaw distill_row(const DistillationLoss<T>& a, G* grad, int64_t r, double& loss) {
  const bool streamed = a.rows * a.vocab * static_cast<int64_t>(3 * sizeof(T) + sizeof(G)) >= kStreamedBytes;
  const RowWeights w{a.weights ? a.weights[r] : 1, a.tokens ? a.coefficients[r] : 0, a.tokens ? a.tokens[r] : 0, streamed};
  if (w.weight - w.weight != 0) return {"weights", "a finite number", -1, w.weight};
  if (w.coefficient - w.coefficient != 0) return {"policy.coefficients", "a finite number", -1, w.coefficient};
  if (w.token < 0 || w.token >= a.vocab)
    return {"policy.tokens", "a token of the vocabulary", -1, static_cast<double>(w.token)};
  if (w.weight == 0 && w.coefficient == 0) {
    a.per_token[r] = a.entropy[r] = 0;
    std::memset(grad + r * a.vocab, 0, sizeof(G) * static_cast<uint64_t>(a.vocab));
    return {};
  }
  switch (a.divergence) {
    case Divergence::reverse: return distill_row<Divergence::reverse>(a, grad, r, w, loss);
    case Divergence::forward: return distill_row<Divergence::forward>(a, grad, r, w, loss);
    default: return distill_row<Divergence::jsd>(a, grad, r, w, loss);
  }
}

template <class T>
int32_t distillation_loss(const DistillationLoss<T>& a, const Parallel& parallel, cfgd_status* status) {
  const int64_t grain = rows_per_chunk(a.vocab), chunks = (a.rows + grain - 1) / grain;
  static thread_local Scratch scratch;
  double* losses = scratch.get<double>(chunks + 1);
  Fault fault;
  parallel(a.rows, grain, [&](int64_t begin, int64_t end) {
    double loss = 0;
    for (int64_t r = begin; r < end; r++)
      if (const Flaw flaw = a.wide_grad ? distill_row(a, a.wide_grad, r, loss) : distill_row(a, a.grad, r, loss))
        fault.note(r, flaw);
    finish_streaming();
    losses[begin / grain] = loss;
  });
  double loss = 0;
  for (int64_t i = 0; i < chunks; i++) loss += losses[i];
  *a.loss = static_cast<float>(loss);
  return fault.report(status);
}

}  // namespace

void register_distill(CpuTable& table) {
  set<DistillationLoss<float>, distillation_loss<float>>(table, Op::distillation_loss);
  set<DistillationLoss<bf16>, distillation_loss<bf16>>(table, {Op::distillation_loss, DType::bf16});
  set<DistillationLoss<f16>, distillation_loss<f16>>(table, {Op::distillation_loss, DType::f16});
}

}  // namespace cfgd::CFGD_ISA
