// Memory that will be read soon, fetched while something else is computed. Included only from per-ISA files (see
// cpu/kernel.h).
//
// The processor's own prefetching follows a stream of reads to the end of its page and no further, and sees nothing of a
// row while the one before it is being worked on.
#pragma once
#include "cpu/stream.h"

namespace cfgd::CFGD_ISA {
namespace {

/// Fetches the line at p, which need not be within an array.
inline void fetch(const void* p) { __builtin_prefetch(p, 0, 2); }

/// Memory that is fetched in small steps, spread over other work to keep pace with the memory: what is asked for in a
/// burst waits in line, and with it everything else that is not in the first-level cache.
class Trail {
 public:
  /// Of nothing.
  Trail() = default;
  /// Of `bytes` from p on, which need not be within an array, in so many steps: of two lines at most.
  Trail(const void* p, int64_t bytes, int64_t steps) {
    if (bytes <= 0 || steps <= 0) return;
    at_ = reinterpret_cast<uintptr_t>(p);
    const int64_t stride = (bytes + steps - 1) / steps;
    stride_ = static_cast<uintptr_t>(stride < 2 * kLine ? stride : 2 * kLine);
  }
  void step() {
    CFGD_ISA::fetch(reinterpret_cast<const void*>(at_));
    if (stride_ > kLine) CFGD_ISA::fetch(reinterpret_cast<const void*>(at_ + kLine));
    at_ += stride_;
  }

 private:
  static constexpr char kNothing = 0;
  uintptr_t at_ = reinterpret_cast<uintptr_t>(&kNothing);
  uintptr_t stride_ = 0;
};

/// Elements that lie at the same place of several arrays; none by default.
template <int count>
struct Ahead {
  uintptr_t arrays[count] = {};  // not within an array, perhaps, hence no pointers
  int64_t element_bytes = 0;

  /// Those that lie `elements` behind the given ones.
  template <class T>
  static Ahead behind(const T* const (&arrays)[count], int64_t elements) {
    Ahead ahead;
    for (int k = 0; k < count; k++) ahead.arrays[k] = reinterpret_cast<uintptr_t>(arrays[k]) + elements * sizeof(T);
    ahead.element_bytes = sizeof(T);
    return ahead;
  }
  /// The cache lines of elements [begin, end).
  void fetch(int64_t begin, int64_t end) const {
    for (int64_t at = begin * element_bytes; at < end * element_bytes; at += kLine)
      for (int k = 0; k < count; k++) __builtin_prefetch(reinterpret_cast<const void*>(arrays[k] + at), 0, 2);
  }
};

}  // namespace
}  // namespace cfgd::CFGD_ISA
