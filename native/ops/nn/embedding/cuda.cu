#include <cuda_runtime.h>

#include "cuda/fault.cuh"
#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "cuda/strip.cuh"
#include "ops/nn/columns.cuh"
#include "ops/nn/embedding/buckets.cuh"
#include "ops/nn/embedding/embedding.h"
#include "ops/nn/embedding/faults.h"
#include "ops/nn/embedding/workspace.h"

namespace cfgd {
namespace {

constexpr int kUnroll = 4;  // strips that a thread has in flight

/// Where a strip comes from and goes to.
struct LookupPlace {
  int64_t from, to;
  __device__ int64_t in(int) const { return from; }
  __device__ int64_t out(int) const { return to; }
};

// Every byte is moved once (rows of ids that come again are likely to be in the L2 cache): map_strips of cuda/strip.cuh.
// Strips are of one element where longer ones would cross rows or are not aligned.
template <class T, int kWidth>
__global__ void __launch_bounds__(kStripThreads) look_up(EmbeddingForward<T> a, FaultPort port) {
  if (skipped(port)) return;
  for (int64_t i = int64_t{blockIdx.x} * kStripThreads + threadIdx.x; i < a.count;
       i += int64_t{gridDim.x} * kStripThreads)
    if (a.ids[i] < 0 || a.ids[i] >= a.vocab) raise_lookup(port, i, a.ids[i], a.vocab);
  if (a.vocab == 0) return;
  const auto where = [&](int64_t at) {
    const int64_t i = at / a.n, id = a.ids[i];
    return LookupPlace{(id < 0 || id >= a.vocab ? 0 : id * a.n) + (at - i * a.n), at};
  };
  map_strips<kWidth, kUnroll, kWidth != 1>(
      {a.table}, {a.out}, a.count * a.n, where, [](LookupPlace, const float (&x)[1][kWidth], float (&y)[1][kWidth]) {
#pragma unroll
        for (int k = 0; k < kWidth; k++) y[0][k] = x[0][k];
      });
}

int32_t check_size(int64_t rows, int64_t most, const char* argument, cfgd_status* status) {
  if (rows <= most) return CFGD_OK;
  return cfgd_fail(status, CFGD_SHAPE, argument, "expected at most %lld on CUDA, got %lld",
                   static_cast<long long>(most), static_cast<long long>(rows));
}

template <class T>
int32_t embedding_forward(const LaunchContext& context, const EmbeddingForward<T>& a, cfgd_status* status) {
  if (const int32_t code = check_size(a.count, kFaultMaxRow, "ids", status)) return code;
  if (a.count == 0) return CFGD_OK;
  const bool wide = a.n % kPack<T> == 0 && all_aligned16({a.table, a.out});
  const int64_t strips = a.count * a.n / (wide ? kPack<T> : 1);
  const auto kernel = wide ? look_up<T, kPack<T>> : look_up<T, 1>;
  CFGD_LAUNCH(kernel, strip_grid(strips, kUnroll), dim3(kStripThreads), 0, context.stream, a, context.fault);
  return CFGD_OK;
}

template <class T, int kWidth>
void launch_pieces(const LaunchContext& context, const EmbeddingBackward<T>& a) {
  const int64_t strips = a.n / kWidth, pieces = embedding_pieces(a.count);
  const int threads = static_cast<int>(strips < kPieceThreads ? (strips + kWarp - 1) / kWarp * kWarp : kPieceThreads);
  const int64_t across = (strips + threads - 1) / threads;
  if (pieces == 0) return;
  const auto kernel = add_pieces<T, kWidth>;
  const dim3 grid(static_cast<unsigned>(pieces), static_cast<unsigned>(across < 65535 ? across : 65535));
  CFGD_LAUNCH(kernel, grid, dim3(threads), 0, context.stream, a, embedding_piece(a.count), context.fault);
}

template <class T>
int32_t embedding_backward(const LaunchContext& context, const EmbeddingBackward<T>& a, cfgd_status* status) {
  if (const int32_t code = check_size(a.count, kFaultMaxRow, "ids", status)) return code;
  // Some 256 blocks, unless the vocabulary is too small or too large for that many.
  constexpr int64_t kBlocks = 256, kLeast = 16;
  const int64_t even = (a.vocab + kBlocks - 1) / kBlocks;
  const int range = static_cast<int>(even < kLeast ? kLeast : even < kBucketMost ? even : kBucketMost);
  const int64_t blocks = (a.vocab + range - 1) / range;
  CFGD_LAUNCH(bucket_ids, grid_of(blocks), dim3(kBucketThreads), sizeof(int) * kBucketWarps * range, context.stream,
              a.ids, a.count, a.vocab, range, a.buckets, a.buckets + a.vocab + 1, context.fault);
  if (a.n % kPack<T> == 0 && all_aligned16({a.grad_out, a.grad_table, a.partials}))
    launch_pieces<T, kPack<T>>(context, a);
  else
    launch_pieces<T, 1>(context, a);
  const bool wide = a.n % 4 == 0 && all_aligned16({a.grad_table, a.partials});
  const auto finish = wide ? finish_table<4> : finish_table<1>;
  CFGD_LAUNCH(finish, strip_grid(a.vocab * a.n / (wide ? 4 : 1), kUnroll), dim3(kStripThreads), 0, context.stream,
              a.grad_table, a.buckets, a.partials, a.vocab, a.n, embedding_piece(a.count), context.fault);
  return CFGD_OK;
}

/// Raises a fault for every bound outside [0, positions]; the threads of the grid share the rows.
__device__ void check_bounds(const int32_t* starts, const int32_t* ends, int64_t rows, int64_t positions,
                             const FaultPort& port) {
  for (int64_t r = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; r < rows; r += int64_t{gridDim.x} * blockDim.x) {
    if (starts[r] < 0 || starts[r] > positions) raise_lookup(port, r, starts[r], positions);
    if (ends[r] < 0 || ends[r] > positions) raise_lookup(port, kEndRows + r, ends[r], positions);
  }
}

__device__ int64_t clamped(int64_t bound, int64_t positions) {
  return bound < 0 ? 0 : bound < positions ? bound : positions;
}

// One block per row and tile of columns; the positions that count are read once.
template <class T, bool kVector>
__global__ void __launch_bounds__(kColumnThreads)
    average_positions(MaskedMeanForward<T> a, ColumnTiles tiles, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = kPack<T>;
  check_bounds(a.starts, a.ends, a.rows, a.positions, port);
  for (int64_t task = blockIdx.x; task < a.rows * tiles.count; task += gridDim.x) {
    const int64_t r = task / tiles.count, left = task % tiles.count * tiles.lanes * kWidth;
    const int64_t start = clamped(a.starts[r], a.positions), end = clamped(a.ends[r], a.positions);
    float sum[kWidth];
    sum_columns<kWidth, kVector>(a.x + r * a.positions * a.n, a.n, start, end, left, tiles.lanes, sum);
    if (static_cast<int>(threadIdx.x) >= tiles.lanes) continue;
    const float inverse = end > start ? 1.0f / static_cast<float>(end - start) : 0.0f;
    const int64_t column = left + int64_t{kWidth} * threadIdx.x;
#pragma unroll
    for (int k = 0; k < kWidth; k++)
      if (column + k < a.n) a.out[r * a.n + column + k] = sum[k] * inverse;
  }
}

template <class T>
int32_t masked_mean_forward(const LaunchContext& context, const MaskedMeanForward<T>& a, cfgd_status* status) {
  if (const int32_t code = check_size(a.rows, kEndRows - 1, "x", status)) return code;
  if (a.rows == 0) return CFGD_OK;
  const ColumnTiles tiles = column_tiles(a.n, kPack<T>);
  const bool wide = a.n % kPack<T> == 0 && all_aligned16({a.x});
  const auto kernel = wide ? average_positions<T, true> : average_positions<T, false>;
  const int64_t blocks = a.rows * tiles.count;
  CFGD_LAUNCH(kernel, grid_of(blocks < 1 ? 1 : blocks), dim3(kColumnThreads), 0, context.stream, a, tiles,
              context.fault);
  return CFGD_OK;
}

struct MeanPlace : LookupPlace {
  float inverse;  // 0 outside the range
};

constexpr int kSpreadUnroll = 1;  // little is read

// Every byte of grad_x is written once; grad_out and the bounds come from the caches.
template <class T, int kWidth>
__global__ void __launch_bounds__(kStripThreads) spread_positions(MaskedMeanBackward<T> a, FaultPort port) {
  if (skipped(port)) return;
  check_bounds(a.starts, a.ends, a.rows, a.positions, port);
  const auto where = [&](int64_t at) {
    const int64_t position = at / a.n, r = position / a.positions, j = position - r * a.positions;
    const int64_t start = a.starts[r], end = a.ends[r];
    const bool inside = j >= start && j < end;
    return MeanPlace{{r * a.n + (at - position * a.n), at}, inside ? 1.0f / static_cast<float>(end - start) : 0.0f};
  };
  map_strips<kWidth, kSpreadUnroll, kWidth != 1>(
      {a.grad_out}, {a.grad_x}, a.rows * a.positions * a.n, where,
      [](const MeanPlace& place, const float (&x)[1][kWidth], float (&y)[1][kWidth]) {
#pragma unroll
        for (int k = 0; k < kWidth; k++) y[0][k] = place.inverse == 0 ? 0.0f : x[0][k] * place.inverse;
      });
}

template <class T>
int32_t masked_mean_backward(const LaunchContext& context, const MaskedMeanBackward<T>& a, cfgd_status* status) {
  if (const int32_t code = check_size(a.rows, kEndRows - 1, "gradOut", status)) return code;
  if (a.rows == 0) return CFGD_OK;
  const bool wide = a.n % kPack<T> == 0 && all_aligned16({a.grad_out, a.grad_x});
  const auto kernel = wide ? spread_positions<T, kPack<T>> : spread_positions<T, 1>;
  const int64_t strips = a.rows * a.positions * a.n / (wide ? kPack<T> : 1);
  CFGD_LAUNCH(kernel, strip_grid(strips, kSpreadUnroll), dim3(kStripThreads), 0, context.stream, a, context.fault);
  return CFGD_OK;
}

template <class T>
void register_for(CudaTable& table, DType type) {
  set<EmbeddingForward<T>, embedding_forward<T>>(table, {Op::embedding_forward, type}, explain_ids);
  set<EmbeddingBackward<T>, embedding_backward<T>>(table, {Op::embedding_backward, type}, explain_ids);
  set<MaskedMeanForward<T>, masked_mean_forward<T>>(table, {Op::masked_mean_forward, type}, explain_bounds);
  set<MaskedMeanBackward<T>, masked_mean_backward<T>>(table, {Op::masked_mean_backward, type}, explain_bounds);
}

}  // namespace

void register_cuda_embedding(CudaTable& table) {
  register_for<float>(table, DType::f32);
  register_for<bf16>(table, DType::bf16);
}

}  // namespace cfgd
