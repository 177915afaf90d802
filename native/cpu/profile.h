// Where the time of the CPU's queue goes, by operation: for benchmarks.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace cfgd {

/// The launches of one operation, type and shape since profiling began.
struct OperationTime {
  std::string name;   // as in ops/op.h
  std::string shape;  // of the product; empty for other operations
  uint64_t calls = 0;
  double seconds = 0;
  double flops = 0;  // 2 per multiply-add of products and attention (half of it when causal); else 0
  double bytes = 0;  // that must move, each array once, of elementwise operations, norms and losses; else 0
};

/// Begins to record (forgetting what was) or stops. Queued operations only: typed-array functions bypass the queue.
void set_profiling(bool on);
bool profiling();
/// Adds a launch; the arguments are those of `op`, as a backend gets them.
void record_launch(uint32_t op, const void* args, double seconds);
/// What was recorded, longest first.
std::vector<OperationTime> profile();

}  // namespace cfgd
