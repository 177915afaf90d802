// What kernels do with the fault record of their device. Device code.
#pragma once
#include <cuda_runtime.h>

#include "cuda/fault.h"

namespace cfgd {

/// Whether an earlier launch has failed. The same for all threads of a launch: only its own faults can come up
/// meanwhile.
__device__ inline bool skipped(const FaultPort& port) {
  const unsigned long long failed = *static_cast<const volatile unsigned long long*>(&port.record->launch);
  return failed != 0 && failed != port.launch;
}

/// row ≤ kFaultMaxRow, item ≤ kFaultMaxItem, 0 ≤ kind < 2^kFaultKindBits. A launch gives every fault the same detail.
__device__ inline void raise_fault(const FaultPort& port, int64_t row, int64_t item, int kind, int64_t detail = 0) {
  const unsigned long long site = static_cast<unsigned long long>(row) << (kFaultItemBits + kFaultKindBits) |
                                  static_cast<unsigned long long>(item) << kFaultKindBits |
                                  static_cast<unsigned long long>(kind);
  atomicCAS(&port.record->launch, 0ull, port.launch);
  atomicMin(&port.record->site, site);
  port.record->detail = detail;
}

}  // namespace cfgd
