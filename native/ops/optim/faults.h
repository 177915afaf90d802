// What can be wrong with the data of the optimiser, as the numbers that kernels report (cuda/fault.h), and the words
// for them: the same as those of the CPU.
#pragma once
#include <bit>
#include <cstdint>

#include "cuda/fault.h"
#include "tensor/backend.h"

namespace cfgd {

/// Numbers of the schedule and the norm come first, as the magnitude's bits (item) and the sign (row). Row and item of
/// a gradient hold, together, kGradientPlace and then tensor and element.
enum OptimFault : int {
  kBadLearningRate,
  kBadStep,
  kBadNorm,
  kGradientNaN,
  kGradientInfinity,
  kNormRange,
  kOptimFaults
};
static_assert(kOptimFaults <= 1 << kFaultKindBits);

constexpr int kGradientElementBits = 44;
constexpr int kGradientTensorBits = kFaultRowBits + kFaultItemBits - kGradientElementBits - 1;
constexpr int64_t kGradientPlace = int64_t{1} << (kFaultRowBits + kFaultItemBits - 1);

inline int32_t explain_optim(const FaultSite& site, cfgd_status* status) {
  const auto magnitude = static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(site.item)));
  const double number = site.row ? -magnitude : magnitude;
  const int64_t place = (site.row << kFaultItemBits | site.item) & ~kGradientPlace;
  switch (site.kind) {
    case kBadLearningRate:
      return cfgd_fail(status, CFGD_VALUE, "schedule", "expected a finite learning rate of at least 0, got %g", number);
    case kBadStep:
      return cfgd_fail(status, CFGD_VALUE, "schedule", "expected a step from 1 to 16777216, got %.9g", number);
    case kBadNorm:
      return cfgd_fail(status, CFGD_VALUE, "norm", "expected a finite number of at least 0, got %g", number);
    case kNormRange: return cfgd_fail(status, CFGD_VALUE, "gradients", "expected a norm in the range of float32");
    default:
      return cfgd_fail(status, CFGD_VALUE, "gradients", "expected finite numbers, got %s in tensor %lld at %lld",
                       site.kind == kGradientNaN ? "NaN" : "Infinity",
                       static_cast<long long>(place >> kGradientElementBits),
                       static_cast<long long>(place & ((int64_t{1} << kGradientElementBits) - 1)));
  }
}

}  // namespace cfgd
