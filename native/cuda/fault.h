// How a kernel reports what only it can see: a NaN, a token out of range, an empty support.
//
// Each device has one fault record in its memory. The first launch that raises a fault owns the record; within that
// launch the lowest row wins, and within the row the lowest item, so that the report does not depend on timing. Until
// the host has seen the record, later launches do nothing: what they would have computed from, or overwritten, stays.
//
// A launch is known by its tag. Those of a graph have the same tags in every replay: a graph therefore begins by counting
// its replays and, when a fault is known, by marking the record as that of an earlier replay (graph.cu). The count at the
// fault tells the host which replay it was.
#pragma once
#include <cstdint>

namespace cfgd {

struct FaultRecord {
  unsigned long long launch;   // the tag of the launch that failed; 0: none
  unsigned long long site;     // packed: row, item, kind; all ones: none
  unsigned long long replays;  // of graphs, begun before the fault
  long long bound;             // what a launch checks against: a capacity, a vocabulary; 0 where it has none
};

// A tag: the operation's code, then the number of the launch or, in a graph, its place there from 1; then two flags.
constexpr int kTagOpBits = 16;
constexpr unsigned long long kTagInGraph = 1ull << 62;  // a place in a graph
constexpr unsigned long long kTagEarlier = 1ull << 63;  // set in the record only: of a replay before the current one

constexpr unsigned long long tag_of(unsigned long long number, uint32_t op) { return number << kTagOpBits | op; }
constexpr uint32_t op_of_tag(unsigned long long tag) { return static_cast<uint32_t>(tag & ((1u << kTagOpBits) - 1)); }
constexpr unsigned long long number_of_tag(unsigned long long tag) {
  return (tag & ~(kTagInGraph | kTagEarlier)) >> kTagOpBits;
}

/// A fault as the host sees it. What `item` and `kind` mean is the operation's own affair.
struct FaultSite {
  int64_t row;
  int64_t item;
  int kind;
  int64_t bound = 0;
};

constexpr int kFaultRowBits = 29, kFaultItemBits = 31, kFaultKindBits = 4;
constexpr int64_t kFaultMaxRow = (int64_t{1} << kFaultRowBits) - 1, kFaultMaxItem = (int64_t{1} << kFaultItemBits) - 1;
constexpr FaultRecord kNoFault = {0, ~0ull, 0, 0};

inline FaultSite unpacked(const FaultRecord& record) {
  return {static_cast<int64_t>(record.site >> (kFaultItemBits + kFaultKindBits)),
          static_cast<int64_t>(record.site >> kFaultKindBits & ((1ull << kFaultItemBits) - 1)),
          static_cast<int>(record.site & ((1ull << kFaultKindBits) - 1)), record.bound};
}

/// A kernel's way to the record of its device.
struct FaultPort {
  FaultRecord* record;
  unsigned long long launch;  // the tag
};

}  // namespace cfgd
