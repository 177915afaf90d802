// The yardstick of products: multiply-adds that wait for nothing. Included only from cpu.cpp.
#pragma once
#include "cpu/tile.h"
#include "ops/parallel.h"

namespace cfgd::CFGD_ISA {
namespace {

/// `rounds` times a multiply-add in as many vectors as a tile of the product has, on all threads. Returns the flops, 2 per
/// multiply-add.
double multiply_adds(int64_t rounds, const Parallel& parallel) {
  constexpr int64_t kChunks = 64;
  constexpr int kSums = kTileRows * kTileVecs;
  // Unknown to the compiler, and a use for what comes out.
  static volatile float factor = 0.999f, addend = 1e-4f;
  [[maybe_unused]] static volatile float sink;
  const int64_t share = (rounds + kChunks - 1) / kChunks;
  parallel(kChunks, 1, [&](int64_t, int64_t) {
    const Vec x = broadcast(factor), y = broadcast(addend);
    Vec sums[kSums];
#pragma GCC unroll 32
    for (int i = 0; i < kSums; i++) sums[i] = broadcast(factor);
    for (int64_t round = 0; round < share; round++)
#pragma GCC unroll 32
      for (int i = 0; i < kSums; i++) sums[i] = sums[i] * x + y;
    Vec total = {};
#pragma GCC unroll 32
    for (int i = 0; i < kSums; i++) total += sums[i];
    sink = reduce_add(total);
  });
  return 2.0 * static_cast<double>(share * kChunks) * kSums * kLanes;
}

}  // namespace
}  // namespace cfgd::CFGD_ISA
