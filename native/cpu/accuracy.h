// How far the vector functions of the CPU kernels are from the exact values, for any range of arguments: what
// bench/math.mjs runs over all float32 numbers and the tests over a sample.
#pragma once
#include <cstdint>

#include "ops/parallel.h"

namespace cfgd {

enum class MathFunction : int32_t { exp, exp_scaled, exp_negative, log, count };

struct Accuracy {
  /// The largest error in units in the last place of the exact value, where that is a normal number, and its argument.
  double ulps = 0;
  float at = 0;
  /// Results that are not what they must be exactly (NaN, infinities, zeros; not a number where one is due), and the
  /// first such argument.
  int64_t wrong = 0;
  float wrong_at = 0;
};

/// Of the numbers whose bits are first, first + step, …, `count` of them.
using MeasureAccuracy = Accuracy (*)(MathFunction function, uint32_t first, uint32_t step, int64_t count, const Parallel& parallel);

}  // namespace cfgd
