// How a kernel reports what only it can see: a NaN, a token out of range, an empty support.
//
// Each device has one fault record in its memory. The first launch that raises a fault owns the record; within that
// launch the lowest row wins, and within the row the lowest item, so that the report does not depend on timing. Until
// the host has seen the record, later launches do nothing: what they would have computed from, or overwritten, stays.
#pragma once
#include <cstdint>

namespace cfgd {

struct FaultRecord {
  unsigned long long launch;  // 0: none
  unsigned long long site;    // packed: row, item, kind; all ones: none
  long long limit;            // of the numbers that a launch checks; 0 where it has none
};

/// A fault as the host sees it. What `item` and `kind` mean is the operation's own affair.
struct FaultSite {
  int64_t row;
  int64_t item;
  int kind;
  int64_t limit;
};

constexpr int kFaultRowBits = 29, kFaultItemBits = 31, kFaultKindBits = 4;
constexpr int64_t kFaultMaxRow = (int64_t{1} << kFaultRowBits) - 1, kFaultMaxItem = (int64_t{1} << kFaultItemBits) - 1;
constexpr FaultRecord kNoFault = {0, ~0ull, 0};

inline FaultSite unpacked(const FaultRecord& record) {
  return {static_cast<int64_t>(record.site >> (kFaultItemBits + kFaultKindBits)),
          static_cast<int64_t>(record.site >> kFaultKindBits & ((1ull << kFaultItemBits) - 1)),
          static_cast<int>(record.site & ((1ull << kFaultKindBits) - 1)), record.limit};
}

/// A kernel's way to the record of its device.
struct FaultPort {
  FaultRecord* record;
  unsigned long long launch;
};

}  // namespace cfgd
