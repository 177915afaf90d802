// What can be wrong with the data of cross-entropy, as the numbers that kernels report (cuda/fault.h), and the words
// for them: the same as those of the CPU.
#pragma once
#include <bit>
#include <cstdint>

#include "cuda/fault.h"
#include "tensor/backend.h"

namespace cfgd {

/// All targets and weights are checked before any logit: a fault of a logit has kLogitRow in its row, which puts it
/// after theirs. The bound is the vocabulary.
enum CrossEntropyFault : int {
  kTargetBeyond,    // item: the target
  kTargetNegative,  // item: −1 − target
  kWeightPositive,  // item: the bits of the weight's magnitude
  kWeightNegative,
  kLogitNaN,  // item: the token
  kLogitInfinity,
  kLogitAtTarget,
  kCrossEntropyFaults
};
static_assert(kCrossEntropyFaults <= 1 << kFaultKindBits);
constexpr int64_t kLogitRow = int64_t{1} << (kFaultRowBits - 1);

inline int32_t explain_cross_entropy(const FaultSite& site, cfgd_status* status) {
  const long long row = site.row & (kLogitRow - 1), item = site.item;
  switch (site.kind) {
    case kTargetBeyond:
    case kTargetNegative:
      return cfgd_fail(status, CFGD_VALUE, "targets", "expected a token from -1 to %lld at %lld, got %lld",
                       static_cast<long long>(site.bound) - 1, row, site.kind == kTargetBeyond ? item : -1 - item);
    case kWeightPositive:
    case kWeightNegative: {
      const auto weight = static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(item)));
      return cfgd_fail(status, CFGD_VALUE, "weights", "expected a finite number at %lld, got %g", row,
                       site.kind == kWeightPositive ? weight : -weight);
    }
    case kLogitAtTarget:
      return cfgd_fail(status, CFGD_VALUE, "logits",
                       "expected a finite logit at the target [%lld, %lld], got -Infinity", row, item);
    default:
      return cfgd_fail(status, CFGD_VALUE, "logits", "expected a finite logit or -Infinity at [%lld, %lld], got %s",
                       row, item, site.kind == kLogitInfinity ? "Infinity" : "NaN");
  }
}

}  // namespace cfgd
