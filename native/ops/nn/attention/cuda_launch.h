// What the launchers of attention on CUDA share: checks of sizes and alignments, and shared memory. Host code.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "ops/nn/attention/attention.h"
#include "ops/nn/attention/forward.cuh"

namespace cfgd {

constexpr int64_t kMaxHeadDim = 256, kMaxBlocks = 0x7fffffff;

inline bool aligned(const void* address, size_t bytes) { return reinterpret_cast<uintptr_t>(address) % bytes == 0; }

inline int32_t check_blocks(int64_t blocks, cfgd_status* status) {
  if (blocks <= kMaxBlocks) return CFGD_OK;
  return cfgd_fail(status, CFGD_SHAPE, "", "attention of this size takes %lld blocks, more than the %lld of a CUDA grid",
                   static_cast<long long>(blocks), static_cast<long long>(kMaxBlocks));
}

/// For AttentionShape and QkvShape.
template <class Shape>
int32_t check_shape(const Shape& s, cfgd_status* status) {
  if (s.head_dim > kMaxHeadDim)
    return cfgd_fail(status, CFGD_SHAPE, "head_dim", "expected at most %lld on CUDA, got %lld",
                     static_cast<long long>(kMaxHeadDim), static_cast<long long>(s.head_dim));
  if (s.rows <= kFaultMaxRow) return CFGD_OK;
  return cfgd_fail(status, CFGD_SHAPE, "rows", "expected at most %lld on CUDA, got %lld",
                   static_cast<long long>(kFaultMaxRow), static_cast<long long>(s.rows));
}

/// At least one tile, so that the ranges of keys are checked.
inline int64_t tiles_of(int64_t count, int64_t rows) { return count ? (count + rows - 1) / rows : 1; }

/// Which rows let `unit` elements of T be moved at once; `outputs` is laid out like out.
template <class Args, class T>
Wide wide_rows(const Args& a, const T* outputs, int unit) {
  const bool whole = a.shape.head_dim % unit == 0;
  const size_t bytes = unit * sizeof(T);
  return {whole && a.q_step % unit == 0 && aligned(a.q, bytes),
          whole && a.kv_step % unit == 0 && aligned(a.k, bytes) && aligned(a.v, bytes), whole && aligned(outputs, bytes)};
}

template <class T>
Wide wide_gradients(const AttentionBackward<T>& a, int unit) {
  const Wide given = wide_rows(a, a.grad_out, unit);
  const size_t bytes = unit * sizeof(T);
  return {given.q && aligned(a.grad_q, bytes), given.kv && aligned(a.grad_k, bytes) && aligned(a.grad_v, bytes),
          given.out && aligned(a.out, bytes)};
}

/// Launches `tiles` blocks for every head.
template <class Args>
int32_t launch_tiles(void (*kernel)(Args, Wide, FaultPort), int threads, size_t bytes, int64_t tiles,
                     const LaunchContext& context, const Args& a, Wide wide, cfgd_status* status) {
  const int64_t lines = a.shape.rows * a.shape.heads, blocks = lines * tiles;
  constexpr int64_t kMaxPositions = int64_t{1} << 30;  // sums of two fit into 32 bits
  if (a.shape.queries > kMaxPositions || a.shape.keys > kMaxPositions)
    return cfgd_fail(status, CFGD_SHAPE, "positions", "expected at most %lld on CUDA, got %lld",
                     static_cast<long long>(kMaxPositions),
                     static_cast<long long>(a.shape.queries > a.shape.keys ? a.shape.queries : a.shape.keys));
  if (const int32_t code = check_blocks(blocks, status)) return code;
  if (blocks == 0) return CFGD_OK;
  if (const int32_t code = allow_shared(kernel, bytes, 0, context, status)) return code;
  CFGD_LAUNCH(kernel, dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), bytes, context.stream,
              a, wide, context.fault);
  return CFGD_OK;
}

}  // namespace cfgd
