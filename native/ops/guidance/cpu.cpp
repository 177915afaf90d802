#include "ops/guidance/guidance.h"

#include "cpu/kernel.h"
#include "cpu/stream.h"
#include "ops/guidance/draw.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kElementsPerChunk = 16384;  // a few microseconds of work per chunk

int64_t rows_per_chunk(int64_t vocab) { return vocab >= kElementsPerChunk ? 1 : kElementsPerChunk / (vocab + 1) + 1; }

/// Combines one row into `out`, which may be cond or uncond. With a flaw the rest of `out` is left as it was.
template <class T, bool kStreamed>
Flaw combine_row(const Guidance& guidance, const T* cond, const T* uncond, T* out, int64_t vocab) {
  constexpr int64_t kUnroll = 4, kStep = kUnroll * kLanes;
  Flaw flaw;
  // Faults are looked for before anything is overwritten, once for a few vectors.
  const auto exactly = [&](int64_t begin, int64_t end) {
    for_each_vector(begin, end, [&](int64_t i, auto io) {
      if (flaw) return;
      IVec bad = {};
      const Vec mixed = guidance(io.load(cond + i, 0), io.load(uncond + i, 0), bad);
      if (any(bad))
        flaw = guidance.flaw(cond, uncond, i, i + kLanes < end ? i + kLanes : end);
      else
        io.store(out + i, mixed);
    });
  };
  int64_t i = kStreamed ? before_line(out, vocab) : 0;
  exactly(0, i);
  const bool plain = guidance.plain();
  for (; i + kStep <= vocab && !flaw; i += kStep) {
    Vec mixed[kUnroll], check = {};
    for (int64_t k = 0; k < kUnroll; k++) {
      const int64_t at = i + k * kLanes;
      mixed[k] = guidance.formula<true>(load(cond + at), load(uncond + at));
      check += mixed[k] * 0.0f;
    }
    if (!plain || not_finite(check)) {
      exactly(i, i + kStep);
      continue;
    }
    for (int64_t k = 0; k < kUnroll; k++) {
      const int64_t at = i + k * kLanes;
      if constexpr (kStreamed)
        stream(out + at, mixed[k]);
      else
        store(out + at, mixed[k]);
    }
  }
  if (!flaw) exactly(i, vocab);
  return flaw;
}

template <class T>
int32_t guided_logits(const GuidedLogits<T>& a, const Parallel& parallel, cfgd_status* status) {
  Fault fault;
  const bool streamed = 3 * static_cast<int64_t>(sizeof(T)) * a.rows * a.vocab >= kStreamedBytes;
  parallel(a.rows, rows_per_chunk(a.vocab), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      Flaw flaw;
      const Guidance guidance = guidance_of(a.scales, a.scale, true, r, flaw);
      const int64_t at = r * a.vocab;
      const T *cond = a.cond + at, *uncond = a.uncond + at;
      if (!flaw) {
        flaw = streamed ? combine_row<T, true>(guidance, cond, uncond, a.out + at, a.vocab)
                        : combine_row<T, false>(guidance, cond, uncond, a.out + at, a.vocab);
      }
      if (flaw) fault.note(r, flaw);
    }
    if (streamed) finish_streaming();
  });
  return fault.report(status);
}

template <class T>
int32_t sample_guided(const SampleGuided<T>& a, const Parallel& parallel, cfgd_status* status) {
  Fault fault;
  parallel(a.rows, rows_per_chunk(a.vocab), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      Flaw flaw;
      const int64_t at = r * a.vocab;
      const Guidance guidance = guidance_of(a.scales, a.scale, a.uncond != nullptr, r, flaw);
      const int64_t stream = a.counters ? a.counters[r] : a.offset + r;
      if (!flaw && stream < 0) flaw = {"offset", "a counter of at least 0", -1, static_cast<double>(stream)};
      if (!flaw) {
        const LogitRow<T> row{a.cond + at, a.uncond ? a.uncond + at : nullptr, guidance, a.vocab,
                              a.allowed ? a.allowed + r * a.allowed_step : nullptr};
        Drawn drawn{-1, 0};
        flaw = RowDraw<T>(row, Draw(a.draw, static_cast<uint64_t>(stream), 0))(drawn);
        a.tokens[r] = drawn.token;
        a.log_probs[r] = drawn.log_prob;
      }
      if (flaw) fault.note(r, flaw);
    }
  });
  return fault.report(status);
}

template <class T>
int32_t decode_sample(const DecodeSample<T>& a, const Parallel& parallel, cfgd_status* status) {
  const int32_t position = *a.position;
  if (position < 0 || position >= a.capacity)
    return cfgd_fail(status, CFGD_VALUE, "position", "expected a position in the history's capacity of %lld, got %d",
                     static_cast<long long>(a.capacity), position);
  Fault fault;
  parallel(a.rows, rows_per_chunk(a.vocab), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      int32_t* token = a.history + r * a.capacity + position;
      float* log_prob = a.history_log_probs + r * a.capacity + position;
      if (a.finished[r]) {
        *token = -1;
        *log_prob = 0;
        continue;
      }
      Flaw flaw;
      const Constraint& constraint = a.constraint;
      const int64_t state = constraint.allowed ? constraint.state[r] : 0;
      const bool known = !constraint.allowed || (state >= 0 && state < constraint.states);
      const Guidance guidance = guidance_of(a.scales, 1, a.branches == 2, r, flaw);
      if (!known) flaw = {"state", "a state of the automaton", -1, static_cast<double>(state)};
      const T* cond = a.logits + r * a.vocab;
      Drawn drawn{-1, 0};
      if (!flaw) {
        const LogitRow<T> row{cond, guidance.guided ? cond + a.rows * a.vocab : nullptr, guidance, a.vocab,
                              constraint.allowed ? constraint.allowed + state * constraint.words : nullptr};
        const Draw draw(a.draw, static_cast<uint32_t>(a.streams[r]), static_cast<uint32_t>(position));
        flaw = RowDraw<T>(row, draw)(drawn);
      }
      if (flaw) {
        fault.note(r, flaw);
        continue;
      }
      *token = drawn.token;
      *log_prob = drawn.log_prob;
      for (int64_t b = 0; b < a.branches; b++) a.next[b * a.rows + r] = drawn.token;
      if (constraint.allowed) constraint.state[r] = constraint.transitions[state * a.vocab + drawn.token];
      if (drawn.token == a.stop_token) a.finished[r] = 1;
    }
  });
  int32_t unfinished = 0;
  for (int64_t r = 0; r < a.rows; r++) unfinished += !a.finished[r];
  *a.unfinished = unfinished;
  *a.position = position + 1;
  return fault.report(status);
}

template <class T>
void register_type(CpuTable& table, DType type) {
  set<GuidedLogits<T>, guided_logits<T>>(table, {Op::guided_logits, type});
  set<SampleGuided<T>, sample_guided<T>>(table, {Op::sample_guided, type});
  set<DecodeSample<T>, decode_sample<T>>(table, {Op::decode_sample, type});
}

}  // namespace

void register_guidance(CpuTable& table) {
  register_type<float>(table, DType::f32);
  register_type<bf16>(table, DType::bf16);
  register_type<f16>(table, DType::f16);
}

}  // namespace cfgd::CFGD_ISA
