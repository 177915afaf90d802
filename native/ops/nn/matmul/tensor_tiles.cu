// A bfloat16 product by tiles, on the tensor cores, with float32 sums.
//
// A block computes a tile [kTile, kTile] of the result, each of its warps [kTile / 2, 32] of that, from slices of both
// operands, 32 deep, in shared memory: three of each, so that two are on their way (cp.async) while one is multiplied.
// Slices lie as in device memory, whichever dimension is the contiguous one, in 16-byte chunks whose places are
// permuted so that neither the copies nor ldmatrix meet in a bank. Operands that do not allow 16-byte accesses come
// element by element.
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/async_copy.cuh"
#include "cuda/fault.cuh"
#include "cuda/launch.cuh"
#include "cuda/mma.cuh"
#include "ops/nn/matmul/launch.h"
#include "ops/nn/matmul/output.cuh"

namespace cfgd {
namespace {

constexpr int kSliceDepth = 32, kSlices = 3, kChunk = 8;  // a chunk is 8 elements, 16 bytes

template <int kTile>
constexpr int kTensorThreads = kTile * 2;
template <int kTile>
constexpr size_t kTensorShared = size_t{2} * kSlices * kTile * kSliceDepth * sizeof(bf16);

/// An operand's slices on their way to shared memory. kAlong: it lies [rows, depth], else [depth, rows].
template <int kRows, int kThreads, bool kAlong>
class TensorSlice {
 public:
  static constexpr int kElements = kRows * kSliceDepth;

  __device__ TensorSlice(const bf16* data, int64_t rows, int64_t depth, int first)
      : data_(data),
        from_(data + (kAlong ? (first + line()) * depth + column() : line() * rows + first + column())),
        length_(kAlong ? depth : rows),
        lines_left_((kAlong ? static_cast<int>(rows) - first : static_cast<int>(depth)) - line()),
        columns_left_((kAlong ? static_cast<int>(depth) : static_cast<int>(rows) - first) - column()),
        wide_(aligned16(data) && length_ % kChunk == 0) {}

  /// Where element (row, depth) of a slice lies; a whole chunk when both are at its beginning.
  __device__ static int place(int row, int depth) {
    const int line = kAlong ? row : depth, chunk = (kAlong ? depth : row) / kChunk;
    return (line * kChunks + (chunk ^ (kAlong ? line >> 1 & 3 : line & 7))) * kChunk;
  }

  /// Starts loading the next slice. What lies outside is 0.
  __device__ void start(bf16* slice) {
#pragma unroll
    for (int c = 0; c < kPerThread; c++) {
      const bf16* from = from_ + c * kBetween * length_;
      const int at = line() + c * kBetween;
      bf16* to = slice + (kAlong ? place(at, column()) : place(column(), at));
      const bool inside = c * kBetween < lines_left_;
      if (wide_) {
        const bool valid = inside && columns_left_ > 0;
        start_copy16(to, valid ? from : data_, valid);
      } else {
        uint32_t pairs[kChunk / 2];
#pragma unroll
        for (int i = 0; i < kChunk / 2; i++) {
          const uint32_t low = inside && 2 * i < columns_left_ ? from[2 * i].bits : 0;
          const uint32_t high = inside && 2 * i + 1 < columns_left_ ? from[2 * i + 1].bits : 0;
          pairs[i] = low | high << 16;
        }
        *reinterpret_cast<uint4*>(to) = {pairs[0], pairs[1], pairs[2], pairs[3]};
      }
    }
    from_ += kAlong ? kSliceDepth : kSliceDepth * length_;
    (kAlong ? columns_left_ : lines_left_) -= kSliceDepth;
  }

 private:
  static constexpr int kChunks = (kAlong ? kSliceDepth : kRows) / kChunk;  // of a line
  static constexpr int kBetween = kThreads / kChunks;                      // lines between chunks of a thread
  static constexpr int kPerThread = kElements / kChunk / kThreads;
  static_assert(kPerThread * kChunk * kThreads == kElements);

  __device__ static int line() { return static_cast<int>(threadIdx.x) / kChunks; }
  __device__ static int column() { return static_cast<int>(threadIdx.x) % kChunks * kChunk; }

  const bf16 *data_, *from_;
  int64_t length_;
  int lines_left_, columns_left_;  // from this thread's first chunk on
  bool wide_;
};

template <int kTile, bool kTransposeA, bool kTransposeB>
__global__ void __launch_bounds__(kTensorThreads<kTile>, 256 / kTile) multiply_tensor_tiles(Matmul<bf16> a,
                                                                                           FaultPort port) {
  constexpr int kThreads = kTensorThreads<kTile>;
  using SliceA = TensorSlice<kTile, kThreads, !kTransposeA>;
  using SliceB = TensorSlice<kTile, kThreads, kTransposeB>;
  constexpr int kDown = kTile / 2 / 16, kAcross = 4;  // of a warp, in fragments of 16 rows and 8 columns
  CFGD_DYNAMIC_SHARED(bf16, shared);
  if (skipped(port)) return;
  bf16 *slices_a = shared, *slices_b = shared + kSlices * SliceA::kElements;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int my_row = warp % 2 * (kTile / 2), my_column = warp / 2 * 32;
  // Which row of which 8 × 8 matrix this lane names to ldmatrix. The order of the four is that of the registers.
  const int in_matrix = lane % 8, second = lane / 8 % 2 * 8, third = lane / 16 * 8;
  const Raster raster(a.m, a.n, kTile);
  const int row0 = static_cast<int>(raster.row(blockIdx.x)), column0 = static_cast<int>(raster.column(blockIdx.x));
  SliceA from_a(a.a, a.m, a.k, row0);
  SliceB from_b(a.b, a.n, a.k, column0);
  float sums[kDown][kAcross][4] = {};

  const int slices = static_cast<int>((a.k + kSliceDepth - 1) / kSliceDepth);
  const auto start = [&](int index) {
    if (index < slices) {
      from_a.start(slices_a + index % kSlices * SliceA::kElements);
      from_b.start(slices_b + index % kSlices * SliceB::kElements);
    }
    commit_copies();  // an empty group, too, so that what is waited for can be counted
  };
#pragma unroll
  for (int i = 0; i < kSlices - 1; i++) start(i);
  for (int index = 0; index < slices; index++) {
    wait_copies<kSlices - 2>();
    __syncthreads();  // the slice is there; and nobody still reads the one that is replaced next
    start(index + kSlices - 1);
    const bf16* slice_a = slices_a + index % kSlices * SliceA::kElements;
    const bf16* slice_b = slices_b + index % kSlices * SliceB::kElements;
#pragma unroll
    for (int depth = 0; depth < kSliceDepth; depth += 16) {
      uint32_t left[kDown][4], right[kAcross / 2][4];
#pragma unroll
      for (int i = 0; i < kDown; i++) {
        const int row = my_row + 16 * i;
        if (kTransposeA)
          ldmatrix_x4_transposed(left[i], slice_a + SliceA::place(row + second, depth + in_matrix + third));
        else
          ldmatrix_x4(left[i], slice_a + SliceA::place(row + in_matrix + second, depth + third));
      }
#pragma unroll
      for (int j = 0; j < kAcross / 2; j++) {
        const int column = my_column + 16 * j;
        if (kTransposeB)
          ldmatrix_x4(right[j], slice_b + SliceB::place(column + in_matrix + third, depth + second));
        else
          ldmatrix_x4_transposed(right[j], slice_b + SliceB::place(column + third, depth + in_matrix + second));
      }
#pragma unroll
      for (int i = 0; i < kDown; i++)
#pragma unroll
        for (int j = 0; j < kAcross; j++) {
          const uint32_t pair[2] = {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]};
          mma_m16n8k16(sums[i][j], left[i], pair);
        }
    }
  }

  const auto put = [&](const auto& output) {
#pragma unroll
    for (int i = 0; i < kDown; i++)
#pragma unroll
      for (int j = 0; j < kAcross; j++)
#pragma unroll
        for (int half = 0; half < 2; half++)
          output.template put_some<2>(row0 + my_row + 16 * i + lane / 4 + 8 * half,
                                      column0 + my_column + 8 * j + lane % 4 * 2, sums[i][j] + 2 * half);
  };
  if (a.float_out)
    put(Output<float>(a));
  else
    put(Output<bf16>(a));
}

template <int kTile>
void launch(const LaunchContext& context, const Matmul<bf16>& a) {
  const dim3 grid(static_cast<unsigned>(Raster(a.m, a.n, kTile).tiles()));
  const auto kernel = a.transpose_a ? a.transpose_b ? multiply_tensor_tiles<kTile, true, true> : multiply_tensor_tiles<kTile, true, false>
                      : a.transpose_b ? multiply_tensor_tiles<kTile, false, true>
                                      : multiply_tensor_tiles<kTile, false, false>;
  CFGD_LAUNCH(kernel, grid, dim3(kTensorThreads<kTile>), kTensorShared<kTile>, context.stream, a, context.fault);
}

}  // namespace

void launch_tiles(const LaunchContext& context, const Matmul<bf16>& a) {
  if (tile_for(context, a.m, a.n) == kLargeTile)
    launch<kLargeTile>(context, a);
  else
    launch<kSmallTile>(context, a);
}

}  // namespace cfgd
