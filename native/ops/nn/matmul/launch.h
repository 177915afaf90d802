// Our own kernels of the matrix product, by what they are for. Host code.
#pragma once
#include "cuda/kernel.h"
#include "ops/nn/matmul/matmul.h"
#include "ops/nn/matmul/raster.cuh"
#include "tensor/element.h"

namespace cfgd {

constexpr int kSmallTile = 64, kLargeTile = 128;

/// Larger tiles read less; they pay once there are enough of them for all of the device. What an element is computed
/// from, and in which order, does not depend on the tile.
inline int tile_for(const LaunchContext& context, int64_t m, int64_t n) {
  return Raster(m, n, kLargeTile).tiles() >= context.multiprocessors ? kLargeTile : kSmallTile;
}

// tiles.cu, tensor_tiles.cu: any product of float32, of bfloat16. m and n are not 0.
void launch_tiles(const LaunchContext& context, const Matmul<float>& a);
void launch_tiles(const LaunchContext& context, const Matmul<bf16>& a);

// rows.cu: at most kMostRows rows, those of `a` contiguous.
constexpr int kMostRows = 4;
void launch_rows(const LaunchContext& context, const Matmul<float>& a);
void launch_rows(const LaunchContext& context, const Matmul<bf16>& a);

}  // namespace cfgd
