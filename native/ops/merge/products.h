// Scalar products of two arrays. Per-ISA code.
#pragma once
#include "cpu/kernel.h"
#include "cpu/scratch.h"
#include "cpu/wide.h"
#include "ops/merge/merge.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kProductChunk = 65536;  // elements: some 20 µs of memory traffic

/// a·a, a·b and b·b of n elements.
template <class T>
void products_of(const T* a, const T* b, int64_t n, double* sums) {
  Doubles aa[2] = {}, ab[2] = {}, bb[2] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Wide x = load_wide(a + i), y = load_wide(b + i);
    aa[0] += x.low * x.low;
    ab[0] += x.low * y.low;
    bb[0] += y.low * y.low;
    aa[1] += x.high * x.high;
    ab[1] += x.high * y.high;
    bb[1] += y.high * y.high;
  }
  sums[0] = reduce_add(aa[0] + aa[1]);
  sums[1] = reduce_add(ab[0] + ab[1]);
  sums[2] = reduce_add(bb[0] + bb[1]);
  for (; i < n; i++) {
    const double x = widened(a[i]), y = widened(b[i]);
    sums[0] += x * x;
    sums[1] += x * y;
    sums[2] += y * y;
  }
}

/// Fills args.sums.
template <class T>
void scalar_products(const Slerp<T>& args, const Parallel& parallel) {
  const int64_t chunks = (args.n + kProductChunk - 1) / kProductChunk;
  static thread_local Scratch scratch;
  double* partials = scratch.get<double>(3 * chunks);
  parallel(args.n, kProductChunk, [&](int64_t begin, int64_t end) {
    products_of(args.a + begin, args.b + begin, end - begin, partials + begin / kProductChunk * 3);
  });
  for (int k = 0; k < 3; k++) {
    args.sums[k] = 0;
    for (int64_t c = 0; c < chunks; c++) args.sums[k] += partials[3 * c + k];
  }
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
