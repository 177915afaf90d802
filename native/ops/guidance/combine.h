// The guided logits of one row, as every kernel that needs them computes them: the one definition on the CPU.
// Included only from per-ISA files (see cpu/kernel.h). Formula, exactness and errors: guidance.h.
#pragma once
#include "cpu/fault.h"
#include "cpu/rows.h"

namespace cfgd::CFGD_ISA {
namespace {

struct Guidance {
  float scale;
  bool guided;  // false: there is one branch, taken as it is

  /// One vector. Lanes whose inputs are NaN or +∞, or whose result leaves float32, are set in `bad`.
  Vec operator()(Vec cond, Vec uncond, IVec& bad) const {
    const Vec infinity = broadcast(INFINITY);
    if (!guided) {
      bad |= ~(cond < infinity);
      return cond;
    }
    const Vec mixed = scale == 0 ? uncond : scale == 1 ? cond : uncond + scale * (cond - uncond);
    const IVec outside = (cond == -infinity) | (uncond == -infinity);
    bad |= ~(cond < infinity) | ~(uncond < infinity) | (~outside & ~((mixed < infinity) & (mixed > -infinity)));
    return outside ? -infinity : mixed;
  }

  /// The first flaw among tokens [begin, end) of a row of which one is known to be bad.
  Flaw flaw(const float* cond, const float* uncond, int64_t begin, int64_t end) const {
    constexpr const char* kLogit = "a finite logit or -Infinity";
    for (int64_t t = begin; t < end; t++) {
      if (!(cond[t] < INFINITY)) return {"cond", kLogit, t, cond[t]};
      if (!guided) continue;
      if (!(uncond[t] < INFINITY)) return {"uncond", kLogit, t, uncond[t]};
      IVec bad = {};
      const Vec mixed = (*this)(broadcast(cond[t]), broadcast(uncond[t]), bad);
      if (bad[0]) return {"scale", "guided logits within float32", t, mixed[0]};
    }
    return {};
  }
};

/// The guidance of row r; a scale that is no finite number is a flaw.
inline Guidance guidance_of(const float* scales, float scale, bool guided, int64_t r, Flaw& flaw) {
  const float s = guided && scales ? scales[r] : scale;
  if (guided && s - s != 0) flaw = {"scale", "a finite number", -1, s};
  return {s, guided};
}

/// Combines one row into `out`, which may be cond or uncond. With a flaw the rest of `out` is left as it was.
inline Flaw combine_row(const Guidance& guidance, const float* cond, const float* uncond, float* out, int64_t vocab) {
  constexpr int64_t kUnroll = 4;
  int64_t i = 0;
  // Faults are looked for before anything is overwritten, once for a few vectors.
  for (; i + kUnroll * kLanes <= vocab; i += kUnroll * kLanes) {
    IVec bad = {};
    Vec mixed[kUnroll];
    for (int64_t k = 0; k < kUnroll; k++) {
      const int64_t at = i + k * kLanes;
      mixed[k] = guidance(load(cond + at), guidance.guided ? load(uncond + at) : Vec{}, bad);
    }
    if (any(bad)) return guidance.flaw(cond, uncond, i, i + kUnroll * kLanes);
    for (int64_t k = 0; k < kUnroll; k++) store(out + i + k * kLanes, mixed[k]);
  }
  Flaw flaw;
  for_each_vector(i, vocab, [&](int64_t at, auto io) {
    if (flaw) return;
    IVec bad = {};
    const Vec mixed = guidance(io.load(cond + at, 0), guidance.guided ? io.load(uncond + at, 0) : Vec{}, bad);
    if (any(bad))
      flaw = guidance.flaw(cond, uncond, at, at + kLanes < vocab ? at + kLanes : vocab);
    else
      io.store(out + at, mixed);
  });
  return flaw;
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
