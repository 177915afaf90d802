// What can be wrong with the data of the attention operations, as the numbers that kernels report (cuda/fault.h), and the
// words for them: the same as those of the CPU.
#pragma once
#include <cstdint>

#include "cuda/fault.h"
#include "tensor/backend.h"

namespace cfgd {

/// The value that came is the site's item, −1 − item for the negative ones.
enum AttentionFault : int {
  kStart,  // bound: the number of keys
  kNegativeStart,
  kEnd,
  kNegativeEnd,
  kStepStart,     // of a decoding step; negative
  kStepPosition,  // bound: the capacity
  kNegativeStepPosition,
  kWritePosition,  // row: how many positions; bound: the capacity
  kNegativeWritePosition,
  kAttentionFaults
};
static_assert(kAttentionFaults <= 1 << kFaultKindBits);

inline int32_t explain_attention(const FaultSite& site, cfgd_status* status) {
  const long long row = site.row, bound = site.bound;
  const bool negative = site.kind == kNegativeStart || site.kind == kNegativeEnd || site.kind == kStepStart ||
                        site.kind == kNegativeStepPosition || site.kind == kNegativeWritePosition;
  const long long got = negative ? -1 - site.item : site.item;
  switch (site.kind) {
    case kStart:
    case kNegativeStart:
    case kEnd:
    case kNegativeEnd:
      return cfgd_fail(status, CFGD_VALUE, site.kind <= kNegativeStart ? "starts" : "ends",
                       "expected 0 to positions = %lld in row %lld, got %lld", bound, row, got);
    case kStepStart:
      return cfgd_fail(status, CFGD_VALUE, "starts", "expected at least 0 in row %lld, got %lld", row, got);
    case kStepPosition:
    case kNegativeStepPosition:
      return cfgd_fail(status, CFGD_VALUE, "position", "expected 0 to capacity - 1 = %lld, got %lld", bound - 1, got);
    default:
      return cfgd_fail(status, CFGD_VALUE, "position",
                       "expected %lld position(s) from %lld on within the capacity of %lld", row, got, bound);
  }
}

}  // namespace cfgd
