// The gradient of an embedding table without atomics: positions are grouped by their ids, in three kernels.
//
//   bucket_ids     a stable counting sort: order lists the positions by id and, within an id, rising; those of id v are
//                  order[first[v]] … order[first[v + 1] − 1]
//   add_pieces     cuts order into pieces and adds up the rows of grad_out that belong together within each; what an
//                  id has in one piece only is final
//   finish_table   adds up the pieces of the other ids, and writes the zeros
//
// grad_out is read and grad_table written once; beside that the ids are read twice per block of bucket_ids, from the L2
// cache, and there are two partial rows per piece at most. An id that most positions share still has many blocks.
// Device code.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/fault.cuh"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "cuda/strip.cuh"
#include "ops/nn/embedding/embedding.h"
#include "ops/nn/embedding/faults.h"

namespace cfgd {

__device__ inline void raise_lookup(const FaultPort& port, int64_t row, int32_t number, int64_t bound) {
  raise_fault(port, row, number < 0 ? -1 - int64_t{number} : number, number < 0 ? kNegative : kBeyond, bound);
}

constexpr int kBucketThreads = 512, kBucketWarps = kBucketThreads / kWarp;
constexpr int kBucketMost = kBucketThreads;  // ids of a block: a thread each

/// The sum of `value` over the threads before this one.
__device__ inline int sum_before(int value) {
  __shared__ int of_warp[kBucketWarps];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  int sum = value;
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const int before = __shfl_up_sync(0xffffffffu, sum, distance);
    if (lane >= distance) sum += before;
  }
  if (lane == kWarp - 1) of_warp[warp] = sum;
  __syncthreads();
  for (int w = 0; w < warp; w++) sum += of_warp[w];
  return sum - value;
}

/// Calls body(position, id, peers) for the warp's positions whose id is in [low, high), all lanes together: `position`
/// is −1 in the lanes without one, and `peers` are the lanes with the same id. seen(position, id) is called for every
/// position first.
template <class Seen, class Body>
__device__ void for_bucket(const int32_t* ids, int64_t begin, int64_t end, int64_t low, int64_t high, const Seen& seen,
                           const Body& body) {
  constexpr int kUnroll = 4;
  const int lane = threadIdx.x % kWarp;
  for (int64_t batch = begin; batch < end; batch += kUnroll * kWarp) {
    int32_t id[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; u++) {
      const int64_t i = batch + u * kWarp + lane;
      id[u] = i < end ? ids[i] : -1;
    }
#pragma unroll
    for (int u = 0; u < kUnroll; u++) {
      const int64_t i = batch + u * kWarp + lane;
      if (i < end) seen(i, id[u]);
      const bool mine = i < end && id[u] >= low && id[u] < high;
      if (!__any_sync(0xffffffffu, mine)) continue;
      const unsigned peers = __match_any_sync(0xffffffffu, mine ? static_cast<unsigned>(id[u]) : ~0u);
      body(mine ? i : -1, id[u], peers);
    }
  }
}

// One block per `range` ids of the vocabulary. Each warp goes over a part of the positions: once to count, once to
// place. The positions of lower ids are counted on the way, so that blocks need nothing of each other.
static __global__ void __launch_bounds__(kBucketThreads)
    bucket_ids(const int32_t* ids, int64_t count, int64_t vocab, int range, int32_t* first, int32_t* order,
               FaultPort port) {
  CFGD_DYNAMIC_SHARED(int, counters);  // [kBucketWarps, range]
  if (skipped(port)) return;
  const int warp = threadIdx.x / kWarp;
  const unsigned lower_lanes = (1u << (threadIdx.x % kWarp)) - 1;
  const int64_t low = int64_t{blockIdx.x} * range, high = low + range < vocab ? low + range : vocab;
  const int64_t part = (count + kBucketThreads - 1) / kBucketThreads * kWarp;
  const int64_t begin = warp * part, end = begin + part < count ? begin + part : count;
  int* mine = counters + warp * range;
  for (int i = threadIdx.x; i < kBucketWarps * range; i += kBucketThreads) counters[i] = 0;
  __syncthreads();

  int below[1] = {0};
  const auto note = [&](int64_t i, int32_t id) {
    below[0] += id < low;
    if (blockIdx.x == 0 && (id < 0 || id >= vocab)) raise_lookup(port, i, id, vocab);
  };
  for_bucket(ids, begin, end, low, high, note, [&](int64_t i, int32_t id, unsigned peers) {
    if (i >= 0 && (peers & lower_lanes) == 0) mine[id - low] += __popc(peers);
    __syncwarp();
  });
  int phase = 0;
  reduce_block<Sum, kBucketThreads>(below, phase);  // its barrier: all is counted

  // What each warp has of an id becomes the place of the first of them.
  const int t = threadIdx.x;
  int total = 0;
  if (t < range)
    for (int w = 0; w < kBucketWarps; w++) total += counters[w * range + t];
  int place = below[0] + sum_before(total);
  if (t < range && low + t < vocab) {
    first[low + t] = place;
    if (low + t == vocab - 1) first[vocab] = place + total;
    for (int w = 0; w < kBucketWarps; w++) {
      const int here = counters[w * range + t];
      counters[w * range + t] = place;
      place += here;
    }
  }
  __syncthreads();

  const auto nothing = [](int64_t, int32_t) {};
  for_bucket(ids, begin, end, low, high, nothing, [&](int64_t i, int32_t id, unsigned peers) {
    const int rank = __popc(peers & lower_lanes);
    if (i >= 0) order[mine[id - low] + rank] = static_cast<int32_t>(i);
    __syncwarp();
    if (i >= 0 && rank == 0) mine[id - low] += __popc(peers);
    __syncwarp();
  });
}

constexpr int kPieceMost = 256;  // positions
constexpr int kPieceThreads = 256;

// One block per piece and columns. Its threads walk over the piece together, a strip of columns each, with several rows
// in flight. An id that goes on beyond the piece leaves a partial row: in slot 0 if it is there at the piece's begin,
// else in slot 1.
template <class T, int kWidth>
__global__ void __launch_bounds__(kPieceThreads) add_pieces(EmbeddingBackward<T> a, int piece, FaultPort port) {
  if (failed(port)) return;
  constexpr int kUnroll = kWidth == 1 ? 8 : 4;
  __shared__ int32_t positions[kPieceMost], ids[kPieceMost];
  const int32_t* order = a.buckets + a.vocab + 1;
  const int64_t begin = int64_t{blockIdx.x} * piece;
  const int length = static_cast<int>(a.count - begin < piece ? a.count - begin : piece);
  for (int s = threadIdx.x; s < length; s += blockDim.x) {
    positions[s] = order[begin + s];
    ids[s] = a.ids[positions[s]];
  }
  __syncthreads();
  const bool begun = begin > 0 && a.ids[order[begin - 1]] == ids[0];
  const bool goes_on = begin + length < a.count && a.ids[order[begin + length]] == ids[length - 1];

  const int64_t strips = a.n / kWidth;
  for (int64_t strip = int64_t{blockIdx.y} * blockDim.x + threadIdx.x; strip < strips;
       strip += int64_t{gridDim.y} * blockDim.x) {
    const int64_t column = strip * kWidth;
    float sum[kWidth] = {};
    int start = 0;  // of the id that is being added up
    const auto finish = [&](int stop) {
      const bool whole = !(start == 0 && begun) && !(stop == length && goes_on);
      float* to = whole ? a.grad_table + ids[start] * a.n : a.partials + (2 * int64_t{blockIdx.x} + (start != 0)) * a.n;
      store_strip<kWidth != 1>(to + column, sum);
    };
    for (int batch = 0; batch < length; batch += kUnroll) {
      float row[kUnroll][kWidth];
#pragma unroll
      for (int u = 0; u < kUnroll; u++) {
        const int s = batch + u < length ? batch + u : length - 1;
        load_strip<kWidth != 1>(a.grad_out + positions[s] * a.n + column, row[u]);
      }
#pragma unroll
      for (int u = 0; u < kUnroll; u++) {
        const int s = batch + u;
        if (s >= length) break;
        const bool next = s == 0 || ids[s] != ids[s - 1];
        if (next && s != 0) finish(s);
        if (next) start = s;
#pragma unroll
        for (int k = 0; k < kWidth; k++) sum[k] = next ? row[u][k] : sum[k] + row[u][k];
      }
    }
    finish(length);
  }
}

// One strip of the table per thread, written or left alone; the grid strides over the rest.
template <int kWidth>
__global__ void __launch_bounds__(kStripThreads)
    finish_table(float* table, const int32_t* first, const float* partials, int64_t vocab, int64_t n, int piece,
                 FaultPort port) {
  if (failed(port)) return;
  const int64_t strips = n / kWidth, threads = int64_t{gridDim.x} * kStripThreads;
  for (int64_t i = int64_t{blockIdx.x} * kStripThreads + threadIdx.x; i < vocab * strips; i += threads) {
    const int64_t v = i / strips, column = (i - v * strips) * kWidth;
    const int begin = first[v], end = first[v + 1];
    float result[kWidth] = {};
    if (begin != end) {
      const int first_piece = begin / piece, last_piece = (end - 1) / piece;
      if (first_piece == last_piece) continue;
      double sum[kWidth] = {};
#pragma unroll 4
      for (int p = first_piece; p <= last_piece; p++) {
        const int slot = p == first_piece && begin % piece != 0;
        float partial[kWidth];
        load_strip<kWidth != 1>(partials + (2 * int64_t{p} + slot) * n + column, partial);
#pragma unroll
        for (int k = 0; k < kWidth; k++) sum[k] += partial[k];
      }
#pragma unroll
      for (int k = 0; k < kWidth; k++) result[k] = static_cast<float>(sum[k]);
    }
    store_strip<kWidth != 1>(table + v * n + column, result);
  }
}

}  // namespace cfgd
