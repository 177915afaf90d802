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

/// Whether any launch, this one included, has failed: for a kernel that must not run after a fault of a kernel before
/// it in its own launch. All threads must have asked before one of them raises a fault.
__device__ inline bool failed(const FaultPort& port) {
  return *static_cast<const volatile unsigned long long*>(&port.record->launch) != 0;
}

/// row ≤ kFaultMaxRow, item ≤ kFaultMaxItem, 0 ≤ kind < 2^kFaultKindBits.
__device__ inline void raise_fault(const FaultPort& port, int64_t row, int64_t item, int kind) {
  const unsigned long long site = static_cast<unsigned long long>(row) << (kFaultItemBits + kFaultKindBits) |
                                  static_cast<unsigned long long>(item) << kFaultKindBits |
                                  static_cast<unsigned long long>(kind);
  atomicCAS(&port.record->launch, 0ull, port.launch);
  atomicMin(&port.record->site, site);
}

/// As above, with a `bound` that is the same in all threads of the launch.
__device__ inline void raise_fault(const FaultPort& port, int64_t row, int64_t item, int kind, int64_t bound) {
  port.record->bound = bound;  // all who write it write the same
  raise_fault(port, row, item, kind);
}

}  // namespace cfgd
