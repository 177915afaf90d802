// What can be wrong with the data of slerp, in words: the same on every device.
#pragma once
#include <cstdint>

#include "ops/merge/slerp.h"
#include "tensor/backend.h"

namespace cfgd {
namespace {  // sources that are compiled for several instruction sets include this

inline int32_t explain_slerp(SlerpFault fault, cfgd_status* status) {
  switch (fault) {
    case SlerpFault::none: return CFGD_OK;
    case SlerpFault::antiparallel:
      return cfgd_fail(status, CFGD_VALUE, "b",
                       "expected a direction that is not the opposite of that of a, so that there is one arc from a to b");
    default:
      return cfgd_fail(status, CFGD_VALUE, fault == SlerpFault::a ? "a" : "b",
                       "expected finite numbers, got NaN or Infinity");
  }
}

}  // namespace
}  // namespace cfgd
