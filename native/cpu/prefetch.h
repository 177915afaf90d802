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
