#include <cuda_runtime.h>

#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "ops/nn/matmul/matmul.h"
#include "ops/nn/matmul/raster.cuh"
#include "ops/nn/matmul/tensor_tiles.cuh"
#include "ops/nn/matmul/tiles.cuh"

namespace cfgd {
namespace {

constexpr int kSmall = 64, kLarge = 128;
constexpr int64_t kMaxSize = (int64_t{1} << 31) - 256;

int32_t check_size(int64_t m, int64_t n, int64_t k, cfgd_status* status) {
  if (m <= kMaxSize && n <= kMaxSize && k <= kMaxSize && Raster(m, n, kSmall).tiles() <= kMaxSize) return CFGD_OK;
  return cfgd_fail(status, CFGD_SHAPE, "a", "[m, n, k] = [%lld, %lld, %lld] is more than CUDA can multiply",
                   static_cast<long long>(m), static_cast<long long>(n), static_cast<long long>(k));
}

/// Larger tiles read less; they pay once there are enough of them for most of the device. What an element is computed
/// from, and in which order, does not depend on the tile.
bool prefers_large(const LaunchContext& context, int64_t m, int64_t n) {
  return 2 * Raster(m, n, kLarge).tiles() >= context.multiprocessors;
}

template <int kTile>
void launch_tiles(const LaunchContext& context, const MatmulArgs& a) {
  const dim3 grid(static_cast<unsigned>(Raster(a.m, a.n, kTile).tiles()));
  const auto kernel = a.transpose_a ? a.transpose_b ? multiply_tiles<kTile, true, true> : multiply_tiles<kTile, true, false>
                      : a.transpose_b ? multiply_tiles<kTile, false, true>
                                      : multiply_tiles<kTile, false, false>;
  CFGD_LAUNCH(kernel, grid, dim3(kTileThreads), 0, context.stream, a, context.fault);
}

template <int kTile>
void launch_tiles(const LaunchContext& context, const Matmul<bf16>& a) {
  const dim3 grid(static_cast<unsigned>(Raster(a.m, a.n, kTile).tiles()));
  const auto kernel = a.transpose_a ? a.transpose_b ? multiply_tensor_tiles<kTile, true, true>
                                                    : multiply_tensor_tiles<kTile, true, false>
                      : a.transpose_b ? multiply_tensor_tiles<kTile, false, true>
                                      : multiply_tensor_tiles<kTile, false, false>;
  CFGD_LAUNCH(kernel, grid, dim3(kTensorThreads<kTile>), kTensorShared<kTile>, context.stream, a, context.fault);
}

template <class T>
int32_t matmul(const LaunchContext& context, const Matmul<T>& a, cfgd_status* status) {
  if (a.m == 0 || a.n == 0) return CFGD_OK;
  if (const int32_t code = check_size(a.m, a.n, a.k, status)) return code;
  if (prefers_large(context, a.m, a.n))
    launch_tiles<kLarge>(context, a);
  else
    launch_tiles<kSmall>(context, a);
  return CFGD_OK;
}

}  // namespace

void register_cuda_matmul(CudaTable& table) {
  set<Matmul<float>, matmul<float>>(table, Op::matmul, explain_nothing);
  set<Matmul<bf16>, matmul<bf16>>(table, {Op::matmul, DType::bf16}, explain_nothing);
}

}  // namespace cfgd
