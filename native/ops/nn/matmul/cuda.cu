#include <cuda_runtime.h>

#include <type_traits>

#include "cuda/cublaslt.h"
#include "cuda/fault.cuh"
#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "ops/nn/matmul/launch.h"
#include "ops/nn/matmul/matmul.h"

namespace cfgd {
namespace {

constexpr int kConvertThreads = 256;
constexpr int64_t kMaxSize = (int64_t{1} << 31) - 256;

int32_t check_size(int64_t m, int64_t n, int64_t k, cfgd_status* status) {
  if (m <= kMaxSize && n <= kMaxSize && k <= kMaxSize && Raster(m, n, kSmallTile).tiles() <= kMaxSize) return CFGD_OK;
  return cfgd_fail(status, CFGD_SHAPE, "a", "[m, n, k] = [%lld, %lld, %lld] is more than CUDA can multiply",
                   static_cast<long long>(m), static_cast<long long>(n), static_cast<long long>(k));
}

__global__ void __launch_bounds__(kConvertThreads) convert_bias(const float* bias, bf16* converted, int64_t n, FaultPort port) {
  if (skipped(port)) return;
  const int64_t i = int64_t{blockIdx.x} * kConvertThreads + threadIdx.x;
  if (i < n) converted[i] = narrowed<bf16>(bias[i]);
}

/// False when the library does not do it.
template <class T>
bool by_library(const LaunchContext& context, const Matmul<T>& a) {
  if (!context.cublaslt || a.k == 0) return false;
  const bool narrow = !a.float_out && std::is_same_v<T, bf16>;
  const cublaslt::Type type = std::is_same_v<T, bf16> ? cublaslt::kBfloat16 : cublaslt::kFloat32;
  Product product = {a.a,
                     a.b,
                     a.bias,
                     a.out,
                     a.m,
                     a.n,
                     a.k,
                     a.transpose_a != 0,
                     a.transpose_b != 0,
                     a.accumulate != 0,
                     type,
                     narrow ? cublaslt::kBfloat16 : cublaslt::kFloat32,
                     context.tf32};
  if (!a.bias) return context.cublaslt->multiply(product, context.stream);
  if (!narrow) return reinterpret_cast<uintptr_t>(a.bias) % 16 == 0 && context.cublaslt->multiply(product, context.stream);
  // A bfloat16 result takes a bfloat16 bias only.
  auto* converted = static_cast<bf16*>(context.cublaslt->bias_memory(a.n * static_cast<int64_t>(sizeof(bf16))));
  product.bias = converted;
  if (!converted || !context.cublaslt->takes(product)) return false;
  const unsigned blocks = static_cast<unsigned>((a.n + kConvertThreads - 1) / kConvertThreads);
  CFGD_LAUNCH(convert_bias, dim3(blocks), dim3(kConvertThreads), 0, context.stream, a.bias, converted, a.n, context.fault);
  return context.cublaslt->multiply(product, context.stream);
}

template <class T>
int32_t matmul(const LaunchContext& context, const Matmul<T>& a, cfgd_status* status) {
  if (a.m == 0 || a.n == 0) return CFGD_OK;
  if (const int32_t code = check_size(a.m, a.n, a.k, status)) return code;
  // With so few rows the weights' bytes are the limit, and a kernel made for that reaches it best.
  if (a.m <= kMostRows && (!a.transpose_a || a.m == 1))
    launch_rows(context, a);
  else if (!by_library(context, a))
    launch_tiles(context, a);
  return CFGD_OK;
}

}  // namespace

void register_cuda_matmul(CudaTable& table) {
  set<Matmul<float>, matmul<float>>(table, Op::matmul, explain_nothing);
  set<Matmul<bf16>, matmul<bf16>>(table, {Op::matmul, DType::bf16}, explain_nothing);
}

}  // namespace cfgd
