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

  /// Whether the formula alone gives every finite result, and something that is not finite for everything else.
  bool plain() const { return !guided || (scale != 0 && scale != 1); }
  template <bool kGuided>
  Vec formula(Vec cond, Vec uncond) const {
    return kGuided ? uncond + scale * (cond - uncond) : cond;
  }

  /// One vector. Lanes whose inputs are NaN or +∞, or whose result leaves float32, are set in `bad`.
  Vec operator()(Vec cond, Vec uncond, IVec& bad) const {
    const Vec infinity = broadcast(INFINITY);
    if (!guided) {
      bad |= ~(cond < infinity);
      return cond;
    }
    const Vec mixed = scale == 0 ? uncond : scale == 1 ? cond : formula<true>(cond, uncond);
    const IVec outside = (cond == -infinity) | (uncond == -infinity);
    bad |= ~(cond < infinity) | ~(uncond < infinity) | (~outside & ~((mixed < infinity) & (mixed > -infinity)));
    return outside ? -infinity : mixed;
  }

  /// The first flaw among tokens [begin, end) of a row of which one is known to be bad.
  template <class T>
  Flaw flaw(const T* cond, const T* uncond, int64_t begin, int64_t end) const {
    constexpr const char* kLogit = "a finite logit or -Infinity";
    for (int64_t t = begin; t < end; t++) {
      const float c = widened(cond[t]);
      if (!(c < INFINITY)) return {"cond", kLogit, t, c};
      if (!guided) continue;
      const float u = widened(uncond[t]);
      if (!(u < INFINITY)) return {"uncond", kLogit, t, u};
      IVec bad = {};
      const Vec mixed = (*this)(broadcast(c), broadcast(u), bad);
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

}  // namespace
}  // namespace cfgd::CFGD_ISA
