// One AdamW step. Device code.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/fault.cuh"
#include "cuda/row.cuh"
#include "ops/optim/batch.h"
#include "ops/optim/faults.h"
#include "ops/optim/step.h"
#include "ops/optim/tile.cuh"

namespace cfgd {

constexpr int kUpdateThreads = 256;
constexpr int64_t kUpdateTile = 4096;
using UpdateBatch = Batch<AdamWTensor, kUpdateTile>;

// One thread: checks norm and schedule, and computes what all elements have in common, once for all blocks that follow.
__global__ void prepare_step(AdamWArgs a, FaultPort port) {
  if (skipped(port)) return;
  const auto refuse = [&](float number, int kind) {
    raise_fault(port, bits_of(number) >> 31, bits_of(number) & 0x7fffffffu, kind);
  };
  if (a.schedule && !valid_learning_rate(a.schedule[0])) return refuse(a.schedule[0], kBadLearningRate);
  if (a.schedule && !valid_step(a.schedule[1])) return refuse(a.schedule[1], kBadStep);
  if (a.norm && !valid_norm(*a.norm)) return refuse(*a.norm, kBadNorm);
  *a.workspace = step_of(a);
}

/// This thread's part of elements [begin, end) of a tensor, kWidth at a time.
template <int kWidth>
__device__ void update_elements(const AdamWTensor& t, const AdamWStep& s, float keep, int64_t begin, int64_t end) {
  constexpr int64_t kStride = kUpdateThreads * kWidth;
  constexpr int kLoads = 2;
#pragma unroll 1
  for (int64_t first = begin + int64_t{threadIdx.x} * kWidth; first < end; first += kLoads * kStride) {
    float g[kLoads][kWidth], p[kLoads][kWidth], m[kLoads][kWidth], v[kLoads][kWidth];
#pragma unroll
    for (int b = 0; b < kLoads; b++) {
      const int64_t i = first + b * kStride;
      if (i >= end) continue;
      load_elements(t.gradient + i, g[b]);
      load_elements(t.parameter + i, p[b]);
      load_elements(t.first + i, m[b]);
      load_elements(t.second + i, v[b]);
    }
#pragma unroll
    for (int b = 0; b < kLoads; b++) {
      const int64_t i = first + b * kStride;
      if (i >= end) continue;
#pragma unroll
      for (int k = 0; k < kWidth; k++) update_element(s, keep, g[b][k], p[b][k], m[b][k], v[b][k]);
      store_elements(t.parameter + i, p[b]);
      store_elements(t.first + i, m[b]);
      store_elements(t.second + i, v[b]);
    }
  }
}

// One tile of a tensor per block. Reads four arrays and writes three, the least possible; 16 bytes at a time, two of
// each array under way in every thread before the first is used.
__global__ void __launch_bounds__(kUpdateThreads)
    update_tiles(const __grid_constant__ UpdateBatch batch, const AdamWStep* step, FaultPort port) {
  if (failed(port)) return;
  const Tile tile = tile_of(batch);
  const AdamWTensor& t = batch.entries[tile.entry];
  const AdamWStep s = *step;
  const float keep = keep_of(s, t.weight_decay);
  const bool wide = aligned16(t.parameter) && aligned16(t.gradient) && aligned16(t.first) && aligned16(t.second);
  const int64_t packed = wide ? tile.begin + (tile.end - tile.begin) / 4 * 4 : tile.begin;
  update_elements<4>(t, s, keep, tile.begin, packed);
  update_elements<1>(t, s, keep, packed, tile.end);
}

}  // namespace cfgd
