#include <cuda_runtime.h>

#include <initializer_list>

#include "cuda/fault.cuh"
#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "ops/nn/norm/backward.cuh"
#include "ops/nn/norm/forward.cuh"
#include "ops/nn/norm/l2.cuh"
#include "ops/nn/norm/norm.h"

namespace cfgd {
namespace {

constexpr int64_t kMaxBlocks = 1 << 20;  // kernels stride over what lies beyond
constexpr int64_t kWarpRow = kWarp * kNormHeld, kBlockRow = kNormThreads * kNormHeld;  // elements that registers hold

unsigned blocks_for(int64_t items, int64_t per_block) {
  const int64_t blocks = (items + per_block - 1) / per_block;
  return static_cast<unsigned>(blocks < kMaxBlocks ? blocks : kMaxBlocks);
}

/// Whether every array begins at a multiple of 16 bytes (null counts), and every row of n elements of T with it.
template <class T>
bool wide(int64_t n, std::initializer_list<const void*> arrays) {
  uintptr_t address = static_cast<uintptr_t>(n) * sizeof(T);
  for (const void* array : arrays) address |= reinterpret_cast<uintptr_t>(array);
  return address % 16 == 0;
}

template <class T, bool kCentred>
int32_t forward(const LaunchContext& c, const LayerNormForward<T>& a) {
  if (a.rows == 0) return CFGD_OK;
  const bool is_wide = wide<T>(a.n, {a.x, a.gain, a.bias, a.y});
  const auto go = [&](void (*kernel)(LayerNormForward<T>, FaultPort), int rows_per_block) {
    CFGD_LAUNCH(kernel, dim3(blocks_for(a.rows, rows_per_block)), dim3(kNormThreads), 0, c.stream, a, c.fault);
  };
  if (is_wide && a.n <= kWarpRow)
    go(norm_held_rows<T, kCentred, kWarp>, kNormThreads / kWarp);
  else if (is_wide && a.n <= kBlockRow)
    go(norm_held_rows<T, kCentred, kNormThreads>, 1);
  else if (is_wide)
    go(norm_streamed_rows<T, kCentred, kPack<T>>, 1);
  else
    go(norm_streamed_rows<T, kCentred, 1>, 1);
  return CFGD_OK;
}

template <class T, bool kCentred>
int32_t backward(const LaunchContext& c, const LayerNormBackward<T>& a) {
  const int64_t chunk = norm_chunk_rows(a.rows), chunks = norm_chunks(a.rows);
  const bool is_wide = wide<T>(a.n, {a.grad_y, a.x, a.gain, a.grad_x});
  const auto go = [&](void (*kernel)(LayerNormBackward<T>, int64_t, FaultPort), int threads) {
    CFGD_LAUNCH(kernel, dim3(static_cast<unsigned>(chunks)), dim3(threads), 0, c.stream, a, chunk, c.fault);
  };
  if (chunks == 0) {
    // Only the sums are written: they are zero.
  } else if (is_wide && a.n <= kWarpRow) {
    go(norm_held_rows_backward<T, kCentred, kWarp>, kNormBackwardThreads<kWarp>);
  } else if (is_wide && a.n <= kBlockRow) {
    go(norm_held_rows_backward<T, kCentred, kNormThreads>, kNormThreads);
  } else if (is_wide) {
    go(norm_streamed_rows_backward<T, kCentred, kPack<T>>, kNormThreads);
  } else {
    go(norm_streamed_rows_backward<T, kCentred, 1>, kNormThreads);
  }
  const dim3 grid(static_cast<unsigned>((a.n + kNormColumns - 1) / kNormColumns), a.grad_bias ? 2 : 1);
  CFGD_LAUNCH(norm_sum_chunks, grid, dim3(kNormColumns * kNormColumnWarps), 0, c.stream, a.workspace, chunks, a.n,
              a.grad_gain, a.grad_bias, kCentred ? 2 : 1, c.fault);
  return CFGD_OK;
}

template <class T>
int32_t layer_norm_forward(const LaunchContext& context, const LayerNormForward<T>& a, cfgd_status*) {
  return forward<T, true>(context, a);
}
template <class T>
int32_t layer_norm_backward(const LaunchContext& context, const LayerNormBackward<T>& a, cfgd_status*) {
  return backward<T, true>(context, a);
}
template <class T>
int32_t rms_norm_forward(const LaunchContext& context, const RmsNormForward<T>& a, cfgd_status*) {
  return forward<T, false>(context, as_layer_norm(a));
}
template <class T>
int32_t rms_norm_backward(const LaunchContext& context, const RmsNormBackward<T>& a, cfgd_status*) {
  return backward<T, false>(context, as_layer_norm(a));
}

int32_t l2_normalize_forward(const LaunchContext& c, const L2NormalizeForwardArgs& a, cfgd_status*) {
  if (a.rows == 0) return CFGD_OK;
  const bool is_wide = wide<float>(a.n, {a.x, a.y}), held = is_wide && a.n <= kWarpRow;
  const auto kernel = held ? l2_held_rows : is_wide ? l2_streamed_rows<kPack<float>> : l2_streamed_rows<1>;
  const dim3 grid(blocks_for(a.rows, held ? kNormThreads / kWarp : 1));
  CFGD_LAUNCH(kernel, grid, dim3(kNormThreads), 0, c.stream, a, c.fault);
  return CFGD_OK;
}

int32_t l2_normalize_backward(const LaunchContext& c, const L2NormalizeBackwardArgs& a, cfgd_status*) {
  if (a.rows == 0) return CFGD_OK;
  const bool is_wide = wide<float>(a.n, {a.grad_y, a.y, a.grad_x}), held = is_wide && a.n <= kWarpRow;
  const auto kernel =
      held ? l2_held_rows_backward : is_wide ? l2_streamed_rows_backward<kPack<float>> : l2_streamed_rows_backward<1>;
  const dim3 grid(blocks_for(a.rows, held ? kNormThreads / kWarp : 1));
  CFGD_LAUNCH(kernel, grid, dim3(kNormThreads), 0, c.stream, a, c.fault);
  return CFGD_OK;
}

template <class T>
void register_for(CudaTable& table, DType type) {
  set<LayerNormForward<T>, layer_norm_forward<T>>(table, {Op::layer_norm_forward, type}, explain_nothing);
  set<LayerNormBackward<T>, layer_norm_backward<T>>(table, {Op::layer_norm_backward, type}, explain_nothing);
  set<RmsNormForward<T>, rms_norm_forward<T>>(table, {Op::rms_norm_forward, type}, explain_nothing);
  set<RmsNormBackward<T>, rms_norm_backward<T>>(table, {Op::rms_norm_backward, type}, explain_nothing);
}

}  // namespace

void register_cuda_norm(CudaTable& table) {
  register_for<float>(table, DType::f32);
  register_for<bf16>(table, DType::bf16);
  set<L2NormalizeForwardArgs, l2_normalize_forward>(table, Op::l2_normalize_forward, explain_nothing);
  set<L2NormalizeBackwardArgs, l2_normalize_backward>(table, Op::l2_normalize_backward, explain_nothing);
}

}  // namespace cfgd
