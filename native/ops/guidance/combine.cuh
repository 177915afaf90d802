// The guided logits of one row, as every kernel that needs them computes them: the one definition on CUDA. Device
// code. Formula, exactness and errors: guidance.h.
#pragma once
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

#include "cuda/pack.cuh"
#include "ops/guidance/faults.h"

namespace cfgd {

constexpr int kSound = -1;  // no GuidanceFault

/// `first` for NaN, and the numbers after it for ∞ and −∞; kSound for a finite value.
__device__ inline int flaw_of(float value, int first) {
  if (value != value) return first;
  if (value == INFINITY) return first + 1;
  return value == -INFINITY ? first + 2 : kSound;
}

struct Guidance {
  float scale;
  bool guided;  // false: there is one branch, taken as it is

  /// What is wrong with the scale.
  __device__ int flaw() const { return guided ? flaw_of(scale, kScaleNaN) : kSound; }

  __device__ float operator()(float cond, float uncond) const {
    if (!guided) return cond;
    if (cond == -INFINITY || uncond == -INFINITY) return -INFINITY;
    if (scale == 0) return uncond;
    if (scale == 1) return cond;
    return fmaf(scale, cond - uncond, uncond);
  }

  /// Whether a token, whose combined logit is given, is at fault.
  __device__ bool bad(float cond, float uncond, float combined) const {
    if (!(cond < INFINITY)) return true;
    if (!guided) return false;
    if (!(uncond < INFINITY)) return true;
    return !(fabsf(combined) < INFINITY) && cond != -INFINITY && uncond != -INFINITY;
  }

  /// What is wrong with a token that is known to be at fault.
  __device__ int flaw(float cond, float uncond) const {
    if (!(cond < INFINITY)) return flaw_of(cond, kCondNaN);
    if (!(uncond < INFINITY)) return flaw_of(uncond, kUncondNaN);
    return flaw_of((*this)(cond, uncond), kGuidedNaN);
  }
};

}  // namespace cfgd
