// What spherical interpolation multiplies its inputs by, from three scalar products; for every device.
//
// K. Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985, with cos Ω = a·b / (|a| |b|):
//   out = sin((1 − weight) Ω) / sin Ω · a + sin(weight Ω) / sin Ω · b
// applied to a and b as they are, whatever their lengths. A zero vector has no direction: then it is lerp, which is also
// the limit for Ω → 0. For Ω = π there is no one arc from a to b: a fault.
#pragma once
#include <math.h>

#include "ops/merge/merge.h"
#include "tensor/element.h"

namespace cfgd {
namespace {  // sources that are compiled for several instruction sets include this

enum class SlerpFault { none, a, b, antiparallel };

/// 1 + cos Ω below this is Ω = π as far as sums in double can tell: within 1.4e-6.
constexpr double kAntiparallel = 0x1p-40;

/// sin x / x, to the last place or so.
CFGD_ANYWHERE inline double sinc(double x) { return fabs(x) < 1e-4 ? 1 - x * x / 6 : sin(x) / x; }

/// factors[2] of a and b from products[3]: a·a, a·b, b·b. By sin x / x, which goes into the limits smoothly: near
/// Ω = 0 the factors depend on Ω² alone, so that the cosine's rounding does not show.
CFGD_ANYWHERE inline SlerpFault slerp_factors(const double* products, double weight, double* factors) {
  const double aa = products[0], ab = products[1], bb = products[2];
  if (!(aa < static_cast<double>(INFINITY))) return SlerpFault::a;
  if (!(bb < static_cast<double>(INFINITY))) return SlerpFault::b;
  const double lengths = sqrt(aa) * sqrt(bb), cosine = lengths > 0 ? ab / lengths : 1;
  if (1 + cosine < kAntiparallel) return SlerpFault::antiparallel;
  const double angle = cosine < 1 ? acos(cosine) : 0, of_sine = 1 / sinc(angle);
  factors[0] = (1 - weight) * sinc((1 - weight) * angle) * of_sine;
  factors[1] = weight * sinc(weight * angle) * of_sine;
  return SlerpFault::none;
}

}  // namespace
}  // namespace cfgd
