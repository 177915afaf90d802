// Attention of bfloat16 with heads of up to 128 dimensions. Others take the kernels of cuda.cu.
#include "ops/nn/attention/cuda_mma.h"

#include "ops/nn/attention/backward_mma.cuh"
#include "ops/nn/attention/cuda_launch.h"
#include "ops/nn/attention/forward_mma.cuh"

namespace cfgd {
namespace {

template <int D, int kM, int kColumns>
int32_t launch_forward_halves(const LaunchContext& context, const AttentionForward<bf16>& a, cfgd_status* status) {
  return launch_tiles(attend_halves<D, kM, kColumns>, kTileThreads, kForwardMmaBytes<D, kM, kColumns>,
                      tiles_of(a.shape.queries, 64 * kM), context, a, wide_rows(a, a.out, kPack<bf16>), status);
}

/// kKeys, kQueries: how many are taken at a time by the two passes.
template <int D, int kKeys, int kQueries, int kStages>
int32_t launch_backward_halves(const LaunchContext& context, const AttentionBackward<bf16>& a, cfgd_status* status) {
  const Wide wide = wide_gradients(a, kPack<bf16>);
  if (const int32_t code = launch_tiles(differentiate_halves<D, kKeys, kStages, false>, kTileThreads,
                                        kBackwardMmaBytes<D, kKeys, kStages>, tiles_of(a.shape.queries, kMmaRows), context, a,
                                        wide, status))
    return code;
  return launch_tiles(differentiate_halves<D, kQueries, kStages, true>, kTileThreads, kBackwardMmaBytes<D, kQueries, kStages>,
                      tiles_of(a.shape.keys, kMmaRows), context, a, wide, status);
}

}  // namespace

int32_t launch_forward_mma(const LaunchContext& context, const AttentionForward<bf16>& a, cfgd_status* status) {
  const bool few = a.shape.queries <= 64;
  if (a.shape.head_dim <= 32)
    return few ? launch_forward_halves<32, 1, 64>(context, a, status)
               : launch_forward_halves<32, 2, 64>(context, a, status);
  if (a.shape.head_dim <= 64)
    return few ? launch_forward_halves<64, 1, 64>(context, a, status)
               : launch_forward_halves<64, 2, 64>(context, a, status);
  return launch_forward_halves<128, 1, 64>(context, a, status);
}

int32_t launch_backward_mma(const LaunchContext& context, const AttentionBackward<bf16>& a, cfgd_status* status) {
  if (a.shape.head_dim <= 32) return launch_backward_halves<32, 64, 64, 2>(context, a, status);
  if (a.shape.head_dim <= 64) return launch_backward_halves<64, 64, 32, 2>(context, a, status);
  return launch_backward_halves<128, 32, 32, 1>(context, a, status);
}

}  // namespace cfgd
