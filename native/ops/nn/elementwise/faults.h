// What can be wrong with the data of the elementwise operations, as kernels report it (cuda/fault.h), and the words for
// it: the same as those of the CPU.
#pragma once
#include <cstdint>

#include "cuda/fault.h"
#include "tensor/backend.h"

namespace cfgd {

/// A counter that would leave int32; item: the counter, or −1 − counter. bound: what was to be added.
enum AdvanceFault : int { kHighCounter, kLowCounter };

inline int32_t explain_advance(const FaultSite& site, cfgd_status* status) {
  return cfgd_fail(status, CFGD_VALUE, "counter", "expected a sum within int32, got %lld + %lld",
                   static_cast<long long>(site.kind == kHighCounter ? site.item : -1 - site.item),
                   static_cast<long long>(site.bound));
}

}  // namespace cfgd
