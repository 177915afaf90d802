#include <cuda_runtime.h>

#include <cmath>
#include <type_traits>

#include "cuda/kernel.h"
#include "ops/nn/attention/attention.h"
#include "ops/nn/attention/backward.cuh"
#include "ops/nn/attention/cuda_launch.h"
#include "ops/nn/attention/cuda_mma.h"
#include "ops/nn/attention/decode.cuh"
#include "ops/nn/attention/faults.h"
#include "ops/nn/attention/forward.cuh"
#include "ops/nn/attention/positions.cuh"

namespace cfgd {
namespace {

template <class T, int D, int kRows>
int32_t launch_forward_rows(const LaunchContext& context, const AttentionForward<T>& a, cfgd_status* status) {
  constexpr int kColumns = 32;
  return launch_tiles(attend_rows<T, D, kRows, kColumns>, kTileThreads, kForwardBytes<D, kRows, kColumns>,
                      tiles_of(a.shape.queries, kRows), context, a, wide_rows(a, a.out, 4), status);
}

template <class T>
int32_t launch_forward(const LaunchContext& context, const AttentionForward<T>& a, cfgd_status* status) {
  if (const int32_t code = check_shape(a.shape, status)) return code;
  if constexpr (std::is_same_v<T, bf16>) {
    if (a.shape.head_dim <= kMaxMmaHeadDim) return launch_forward_mma(context, a, status);
  } else {
    if (a.shape.head_dim <= 32) return launch_forward_rows<T, 32, 64>(context, a, status);
    if (a.shape.head_dim <= 64) return launch_forward_rows<T, 64, 64>(context, a, status);
    if (a.shape.head_dim <= 128) return launch_forward_rows<T, 128, 64>(context, a, status);
  }
  return launch_forward_rows<T, 256, 32>(context, a, status);
}

template <class T, int D, int kRows, int kColumns, bool kOfKeys>
int32_t launch_backward_pass(const LaunchContext& context, const AttentionBackward<T>& a, cfgd_status* status) {
  const int64_t tiles = tiles_of(kOfKeys ? a.shape.keys : a.shape.queries, kRows);
  return launch_tiles(differentiate_rows<T, D, kRows, kColumns, kOfKeys>, kTileThreads,
                      kBackwardBytes<D, kRows, kColumns, kOfKeys>, tiles, context, a, wide_gradients(a, 4), status);
}

/// The second pass reads the δ that the first leaves.
template <class T, int D, int kRows, int kColumns>
int32_t launch_backward_rows(const LaunchContext& context, const AttentionBackward<T>& a, cfgd_status* status) {
  if (const int32_t code = launch_backward_pass<T, D, kRows, kColumns, false>(context, a, status)) return code;
  return launch_backward_pass<T, D, kRows, kColumns, true>(context, a, status);
}

template <class T>
int32_t launch_backward(const LaunchContext& context, const AttentionBackward<T>& a, cfgd_status* status) {
  if (const int32_t code = check_shape(a.shape, status)) return code;
  if constexpr (std::is_same_v<T, bf16>) {
    if (a.shape.head_dim <= kMaxMmaHeadDim) return launch_backward_mma(context, a, status);
  } else {
    if (a.shape.head_dim <= 32) return launch_backward_rows<T, 32, 64, 32>(context, a, status);
    if (a.shape.head_dim <= 64) {
      // Wider tiles where a block can have the memory.
      if (kBackwardBytes<64, 64, 32, true> <= context.shared_limit)
        return launch_backward_rows<T, 64, 64, 32>(context, a, status);
      return launch_backward_rows<T, 64, 32, 32>(context, a, status);
    }
    if (a.shape.head_dim <= 128) return launch_backward_rows<T, 128, 32, 32>(context, a, status);
  }
  return launch_backward_rows<T, 256, 16, 16>(context, a, status);
}

template <class T, int D>
void launch_decode_parts(const LaunchContext& context, const AttentionDecode<T>& a, bool wide) {
  const int64_t lines = a.shape.rows * a.shape.heads;
  const dim3 grid(static_cast<unsigned>(lines * decode_parts(a.capacity)));
  CFGD_LAUNCH((decode_part<T, D>), grid, dim3(kDecodeThreads), 0, context.stream, a, wide, context.fault);
  if (a.capacity <= kDecodePart) return;
  CFGD_LAUNCH(decode_whole<T>, dim3(static_cast<unsigned>(lines)), dim3(kDecodeThreads), 0, context.stream, a,
              context.fault);
}

template <class T>
int32_t launch_decode(const LaunchContext& context, const AttentionDecode<T>& a, cfgd_status* status) {
  if (const int32_t code = check_shape(a.shape, status)) return code;
  const int64_t lines = a.shape.rows * a.shape.heads, n = a.shape.head_dim;
  if (const int32_t code = check_blocks(lines * decode_parts(a.capacity), status)) return code;
  if (lines == 0) return CFGD_OK;
  if (a.capacity == 0) {  // reports that no position fits
    CFGD_LAUNCH(decode_whole<T>, dim3(1), dim3(kDecodeThreads), 0, context.stream, a, context.fault);
    return CFGD_OK;
  }
  const bool wide = n % kPack<T> == 0 && aligned(a.qkv, 16) && aligned(a.cache, 16);
  if (n <= 32)
    launch_decode_parts<T, 32>(context, a, wide);
  else if (n <= 64)
    launch_decode_parts<T, 64>(context, a, wide);
  else if (n <= 128)
    launch_decode_parts<T, 128>(context, a, wide);
  else
    launch_decode_parts<T, 256>(context, a, wide);
  return CFGD_OK;
}

template <class T>
int32_t launch_cache_write(const LaunchContext& context, const CacheWrite<T>& a, cfgd_status* status) {
  const QkvShape& s = a.shape;
  if (const int32_t code = check_blocks(s.rows * s.positions, status)) return code;
  // Without anything to write, the position is checked all the same.
  const bool wide = s.head_dim % kPack<T> == 0 && aligned(a.qkv, 16) && aligned(a.cache, 16);
  const unsigned blocks = static_cast<unsigned>(s.rows * s.positions > 0 ? s.rows * s.positions : 1);
  CFGD_LAUNCH(write_cache<T>, dim3(blocks), dim3(kPositionThreads), 0, context.stream, a, wide, context.fault);
  return CFGD_OK;
}

template <class T>
int32_t launch_rotary(const LaunchContext& context, const Rotary<T>& a, cfgd_status* status) {
  const QkvShape& s = a.shape;
  if (const int32_t code = check_shape(s, status)) return code;
  if (const int32_t code = check_blocks(s.rows * s.positions, status)) return code;
  if (s.rows * s.positions == 0) return CFGD_OK;
  constexpr double kTurn = 6.283185307179586;
  Frequencies frequencies = {};
  for (int64_t i = 0; i < s.head_dim / 2; i++)
    frequencies.turns[i] = std::pow(a.base, -2.0 * static_cast<double>(i) / static_cast<double>(s.head_dim)) / kTurn;
  const bool wide = s.head_dim / 2 % kPack<T> == 0 && aligned(a.qkv, 16) && aligned(a.out, 16);
  CFGD_LAUNCH(rotate<T>, dim3(static_cast<unsigned>(s.rows * s.positions)), dim3(kPositionThreads), 0, context.stream,
              a, frequencies, wide, context.fault);
  return CFGD_OK;
}

template <class T>
void register_type(CudaTable& table, DType type) {
  set<AttentionForward<T>, launch_forward<T>>(table, {Op::attention_forward, type}, explain_attention);
  set<AttentionBackward<T>, launch_backward<T>>(table, {Op::attention_backward, type}, explain_attention);
  set<AttentionDecode<T>, launch_decode<T>>(table, {Op::attention_decode, type}, explain_attention);
  set<CacheWrite<T>, launch_cache_write<T>>(table, {Op::cache_write, type}, explain_attention);
  set<Rotary<T>, launch_rotary<T>>(table, {Op::rotary, type}, explain_attention);
}

}  // namespace

void register_cuda_attention(CudaTable& table) {
  register_type<float>(table, DType::f32);
  register_type<bf16>(table, DType::bf16);
}

}  // namespace cfgd
