// What can be wrong with the data of the embedding operations, as kernels report it (cuda/fault.h), and the words for
// it: the same as those of the CPU.
#pragma once
#include <cstdint>

#include "cuda/fault.h"
#include "tensor/backend.h"

namespace cfgd {

/// An id outside [0, bound) or a bound outside [0, bound]. item: the number, or −1 − number for a negative one.
enum LookupFault : int { kBeyond, kNegative };

/// Ends are found faulty only where no start is: their rows come after all those of starts.
constexpr int64_t kEndRows = int64_t{1} << (kFaultRowBits - 1);

inline long long fault_number(const FaultSite& site) {
  return site.kind == kBeyond ? static_cast<long long>(site.item) : -1 - static_cast<long long>(site.item);
}

inline int32_t explain_ids(const FaultSite& site, cfgd_status* status) {
  return cfgd_fail(status, CFGD_VALUE, "ids", "expected a token from 0 to %lld at %lld, got %lld",
                   static_cast<long long>(site.bound - 1), static_cast<long long>(site.row), fault_number(site));
}

inline int32_t explain_bounds(const FaultSite& site, cfgd_status* status) {
  const bool end = site.row >= kEndRows;
  return cfgd_fail(status, CFGD_VALUE, end ? "ends" : "starts", "expected 0 to %lld at %lld, got %lld",
                   static_cast<long long>(site.bound), static_cast<long long>(end ? site.row - kEndRows : site.row),
                   fault_number(site));
}

}  // namespace cfgd
