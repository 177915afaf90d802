// A float32 product by tiles, on the ordinary units.
//
// A block of 256 threads computes a tile [kTile, kTile] of the result from slices of both operands, kDepth deep, in
// shared memory. There are two of each: while one is multiplied the next is on its way through registers. A thread owns
// (kTile / 16)² elements, so that at 128 a word read from shared memory serves 8 multiply-adds, which leaves the
// multipliers as the limit. Every element is one chain of multiply-adds over k, in order, whatever the tile.
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/fault.cuh"
#include "cuda/launch.cuh"
#include "ops/nn/matmul/launch.h"
#include "ops/nn/matmul/output.cuh"

namespace cfgd {
namespace {

constexpr int kTileThreads = 256;

/// The part of an operand that a block multiplies next, on its way from device to shared memory. kAlong: the operand
/// lies [rows, depth], else [depth, rows]; in shared memory it is [kDepth, kRows] (and some padding).
template <int kRows, int kDepth, bool kAlong>
class Slice {
 public:
  static constexpr int kStep = kRows + 4;  // between depths; keeps 16-byte alignment

  __device__ Slice(const float* data, int64_t rows, int64_t depth, int64_t first)
      : from_(data + (kAlong ? (first + row()) * depth + depth_at() : depth_at() * rows + first + row())),
        length_(kAlong ? depth : rows),
        rows_left_(static_cast<int>(rows - first) - row()),
        depth_left_(static_cast<int>(depth) - depth_at()),
        wide_(aligned16(data) && length_ % 4 == 0) {}

  /// Starts loading the next slice. What lies outside is 0.
  __device__ void fetch() {
#pragma unroll
    for (int c = 0; c < kChunks; c++) {
      const float* from = from_ + c * kBetween * length_;
      const bool inside = c * kBetween < (kAlong ? rows_left_ : depth_left_);
      const int inner = kAlong ? depth_left_ : rows_left_;
      if (wide_) {
        float4 v = {0, 0, 0, 0};
        if (inside && inner > 0) v = *reinterpret_cast<const float4*>(from);
        held_[c][0] = v.x, held_[c][1] = v.y, held_[c][2] = v.z, held_[c][3] = v.w;
      } else {
#pragma unroll
        for (int i = 0; i < 4; i++) held_[c][i] = inside && i < inner ? from[i] : 0;
      }
    }
    from_ += kAlong ? kDepth : kDepth * length_;
    depth_left_ -= kDepth;
  }

  /// Puts what was fetched into shared memory.
  __device__ void place(float* shared) const {
    float* to = shared + depth_at() * kStep + row();
#pragma unroll
    for (int c = 0; c < kChunks; c++) {
      if (kAlong) {
#pragma unroll
        for (int i = 0; i < 4; i++) to[i * kStep + c * kBetween] = held_[c][i];
      } else {
        *reinterpret_cast<float4*>(to + c * kBetween * kStep) = {held_[c][0], held_[c][1], held_[c][2], held_[c][3]};
      }
    }
  }

 private:
  // A thread loads chunks of 4 elements, kBetween rows (or depths) apart.
  static constexpr int kPerLine = (kAlong ? kDepth : kRows) / 4;
  static constexpr int kBetween = kTileThreads / kPerLine;
  static constexpr int kChunks = kRows * kDepth / 4 / kTileThreads;
  static_assert(kChunks * 4 * kTileThreads == kRows * kDepth);

  __device__ static int row() {
    const int thread = static_cast<int>(threadIdx.x);
    return kAlong ? thread / kPerLine : thread % kPerLine * 4;
  }
  __device__ static int depth_at() {
    const int thread = static_cast<int>(threadIdx.x);
    return kAlong ? thread % kPerLine * 4 : thread / kPerLine;
  }

  const float* from_;
  int64_t length_;
  int rows_left_, depth_left_;  // from this thread's first chunk on
  bool wide_;
  float held_[kChunks][4];
};

__device__ inline void load_four(const float* from, float* x) {
  const float4 v = *reinterpret_cast<const float4*>(from);
  x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
}

template <int kTile, bool kTransposeA, bool kTransposeB>
__global__ void __launch_bounds__(kTileThreads, 2) multiply_tiles(MatmulArgs a, FaultPort port) {
  constexpr int kDepth = 1024 / kTile;  // as much as the registers hold on the way
  using SliceA = Slice<kTile, kDepth, !kTransposeA>;
  using SliceB = Slice<kTile, kDepth, kTransposeB>;
  constexpr int kGroups = kTile / 64;  // a thread owns this many groups of 4 adjacent rows, and of columns
  alignas(16) __shared__ float slices_a[2][kDepth * SliceA::kStep];
  alignas(16) __shared__ float slices_b[2][kDepth * SliceB::kStep];
  if (skipped(port)) return;
  // A warp covers 4 × 8 groups: neither operand is then read from more places than needed.
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int my_row = (warp / 2 * 4 + lane / 8) * 4, my_column = (warp % 2 * 8 + lane % 8) * 4;
  const Raster raster(a.m, a.n, kTile);
  const int row0 = static_cast<int>(raster.row(blockIdx.x)), column0 = static_cast<int>(raster.column(blockIdx.x));
  SliceA from_a(a.a, a.m, a.k, row0);
  SliceB from_b(a.b, a.n, a.k, column0);
  float sums[4 * kGroups][4 * kGroups] = {};
  from_a.fetch();
  from_b.fetch();
  from_a.place(slices_a[0]);
  from_b.place(slices_b[0]);
  __syncthreads();
  int half = 0;
  for (int left = static_cast<int>(a.k); left > 0; left -= kDepth, half ^= 1) {
    const bool more = left > kDepth;
    if (more) {
      from_a.fetch();
      from_b.fetch();
    }
#pragma unroll 2  // more would not fit into the registers
    for (int d = 0; d < kDepth; d++) {
      float x[4 * kGroups], y[4 * kGroups];
#pragma unroll
      for (int g = 0; g < kGroups; g++) {
        load_four(slices_a[half] + d * SliceA::kStep + g * 64 + my_row, x + 4 * g);
        load_four(slices_b[half] + d * SliceB::kStep + g * 64 + my_column, y + 4 * g);
      }
#pragma unroll
      for (int i = 0; i < 4 * kGroups; i++)
#pragma unroll
        for (int j = 0; j < 4 * kGroups; j++) sums[i][j] = fmaf(x[i], y[j], sums[i][j]);
    }
    if (more) {
      from_a.place(slices_a[half ^ 1]);
      from_b.place(slices_b[half ^ 1]);
    }
    __syncthreads();
  }
  const Output<float> output(a);
#pragma unroll
  for (int i = 0; i < 4 * kGroups; i++)
#pragma unroll
    for (int g = 0; g < kGroups; g++)
      output.put_some<4>(row0 + i / 4 * 64 + my_row + i % 4, column0 + g * 64 + my_column, sums[i] + 4 * g);
}

template <int kTile>
void launch(const LaunchContext& context, const Matmul<float>& a) {
  const dim3 grid(static_cast<unsigned>(Raster(a.m, a.n, kTile).tiles()));
  const auto kernel = a.transpose_a ? a.transpose_b ? multiply_tiles<kTile, true, true> : multiply_tiles<kTile, true, false>
                      : a.transpose_b ? multiply_tiles<kTile, false, true>
                                      : multiply_tiles<kTile, false, false>;
  CFGD_LAUNCH(kernel, grid, dim3(kTileThreads), 0, context.stream, a, context.fault);
}

}  // namespace

void launch_tiles(const LaunchContext& context, const Matmul<float>& a) {
  if (tile_for(context, a.m, a.n) == kLargeTile)
    launch<kLargeTile>(context, a);
  else
    launch<kSmallTile>(context, a);
}

}  // namespace cfgd
