// The norm of all gradients, and the search for what is not finite. Device code.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/fault.cuh"
#include "cuda/row.cuh"
#include "cuda/sum.cuh"
#include "ops/optim/batch.h"
#include "ops/optim/faults.h"
#include "ops/optim/optim.h"
#include "ops/optim/tile.cuh"

namespace cfgd {

constexpr int kSquareThreads = 256, kFinishThreads = 1024;
using SquareBatch = Batch<GlobalNormTensor, kNormTile>;

__device__ inline void raise_gradient_fault(const FaultPort& port, int64_t tensor, int64_t element, float value) {
  const int64_t place = kGradientPlace | tensor << kGradientElementBits | element;
  raise_fault(port, place >> kFaultItemBits, place & kFaultMaxItem, value != value ? kGradientNaN : kGradientInfinity);
}

/// This thread's part of Σ g² over elements [begin, end) of a tensor, kWidth at a time. Sixteen of them are scaled by a
/// power of two so that their squares neither overflow nor underflow; double is used across such groups only. Raises
/// the fault of elements that are not finite.
template <int kWidth>
__device__ double squares_of(const float* gradient, int64_t begin, int64_t end, int64_t tensor, const FaultPort& port) {
  constexpr int kLoads = 16 / kWidth;
  constexpr int64_t kStride = kSquareThreads * kWidth;
  double total = 0;
  for (int64_t first = begin + int64_t{threadIdx.x} * kWidth; first < end; first += kLoads * kStride) {
    float x[kLoads][kWidth] = {}, largest = 0, sum = 0;
#pragma unroll
    for (int b = 0; b < kLoads; b++)
      if (first + b * kStride < end) load_elements(gradient + first + b * kStride, x[b]);
#pragma unroll
    for (int b = 0; b < kLoads; b++)
#pragma unroll
      for (int k = 0; k < kWidth; k++) largest = fmaxf(largest, fabsf(x[b][k]));
    const float scale = scale_for(largest);
#pragma unroll
    for (int b = 0; b < kLoads; b++)
#pragma unroll
      for (int k = 0; k < kWidth; k++) sum += (x[b][k] * scale) * (x[b][k] * scale);
    const auto inverse = static_cast<double>(1 / scale);
    total += static_cast<double>(sum) * (inverse * inverse);
    if (sum < INFINITY) continue;
    for (int b = 0; b < kLoads; b++)
      for (int k = 0; k < kWidth; k++) {
        const int64_t i = first + b * kStride + k;
        if (i < end && !(fabsf(gradient[i]) < INFINITY)) raise_gradient_fault(port, tensor, i, gradient[i]);
      }
  }
  return total;
}

// Σ g² of one tile per block, into `partials` (null: only the search). Reads every gradient once, the least possible,
// 16 bytes at a time, four of them under way in every thread.
__global__ void __launch_bounds__(kSquareThreads)
    sum_squares(const __grid_constant__ SquareBatch batch, double* partials, FaultPort port) {
  if (skipped(port)) return;
  const Tile tile = tile_of(batch);
  const float* gradient = batch.entries[tile.entry].gradient;
  const int64_t tensor = batch.first_entry + tile.entry;
  const int64_t packed = aligned16(gradient) ? tile.begin + (tile.end - tile.begin) / 4 * 4 : tile.begin;
  double total[1] = {squares_of<4>(gradient, tile.begin, packed, tensor, port) +
                     squares_of<1>(gradient, packed, tile.end, tensor, port)};
  if (!partials) return;
  int phase = 0;
  reduce_block<Sum, kSquareThreads>(total, phase);
  if (threadIdx.x == 0) partials[batch.tiles_before + blockIdx.x] = total[0];
}

// One block: the root of the sum of the tiles' sums, in a fixed order.
__global__ void __launch_bounds__(kFinishThreads)
    finish_norm(const double* partials, int64_t tiles, float* norm, FaultPort port) {
  if (failed(port)) return;
  int phase = 0;
  const double total = sum_of<kFinishThreads>(partials, tiles, phase);
  if (threadIdx.x != 0) return;
  const auto result = static_cast<float>(sqrt(total));
  if (result < INFINITY)
    *norm = result;
  else
    raise_fault(port, kFaultMaxRow, kFaultMaxItem, kNormRange);
}

}  // namespace cfgd
