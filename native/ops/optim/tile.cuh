// Which part of a batch of tensors a block works on. Device code.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

namespace cfgd {

/// Elements [begin, end) of a tensor of the batch.
struct Tile {
  int entry;
  int64_t begin, end;
};

template <class B>
__device__ Tile tile_of(const B& batch) {
  int low = 0, high = batch.count;  // the last tensor that begins at or before this block, by halving
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (batch.first_tile[middle] <= blockIdx.x)
      low = middle;
    else
      high = middle;
  }
  const int64_t begin = int64_t{blockIdx.x - batch.first_tile[low]} * B::kTile, n = batch.entries[low].n;
  return {low, begin, begin + B::kTile < n ? begin + B::kTile : n};
}

}  // namespace cfgd
