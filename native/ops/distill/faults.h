// What can be wrong with the data of the distillation loss, as the numbers that kernels report (cuda/fault.h), and the
// words for them: the same as those of the CPU. Faults of the teacher's logits and of guided logits are those of the
// guidance operations.
#pragma once
#include <cstdint>
#include <cstdio>

#include "ops/guidance/faults.h"

namespace cfgd {

/// Row and item of the site are row and token unless said otherwise. Beside kCondNaN … kScaleMinusInfinity.
enum DistillFault : int {
  kEmptySupport = 0,
  kRowValue = kScaleMinusInfinity + 1,  // item: 0 NaN, 1 Infinity, 2 −Infinity, in a weight; 3 … 5, in a coefficient
  kTokenBelow,                          // item: −1 − token
  kTokenBeyond,
  kTokenUnsupported,
  kStudent,  // item: 2 · token, and 1 more for Infinity
  kDistillFaults
};
static_assert(kDistillFaults <= 1 << kFaultKindBits);

inline int32_t explain_distill(const FaultSite& site, cfgd_status* status) {
  const long long row = site.row, item = site.item;
  constexpr const char *kValues[] = {"NaN", "Infinity", "-Infinity"}, *kSupport = "finite in student, cond and uncond";
  switch (site.kind) {
    case kEmptySupport:
      return cfgd_fail(status, CFGD_VALUE, "student", "expected a token that is %s in row %lld, got none", kSupport, row);
    case kRowValue:
      return cfgd_fail(status, CFGD_VALUE, item < 3 ? "weights" : "policy.coefficients",
                       "expected a finite number in row %lld, got %s", row, kValues[item % 3]);
    case kTokenBelow:
    case kTokenBeyond:
      return cfgd_fail(status, CFGD_VALUE, "policy.tokens", "expected a token of the vocabulary in row %lld, got %.9g",
                       row, static_cast<double>(site.kind == kTokenBelow ? -1 - item : item));
    case kTokenUnsupported:
      return cfgd_fail(status, CFGD_VALUE, "policy.tokens", "expected a token that is %s in row %lld, got %.9g", kSupport,
                       row, static_cast<double>(item));
    case kStudent:
      return cfgd_fail(status, CFGD_VALUE, "student", "expected a finite logit or -Infinity at [%lld, %lld], got %s", row,
                       item / 2, kValues[item % 2]);
    default: return explain_guidance(site, status);
  }
}

}  // namespace cfgd
