#include <cuda_runtime.h>

#include <cmath>

#include "cuda/fault.cuh"
#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "cuda/pack.cuh"
#include "ops/merge/faults.h"
#include "ops/merge/merge.h"
#include "ops/merge/products.cuh"

namespace cfgd {
namespace {

constexpr int kThreads = 256;

/// `count` elements as one access.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount) Elements {
  T at[kCount];
};

/// Packs of a block: each thread has some of them under way at once.
template <class T, int kPacks, int kCount>
constexpr int64_t kTile = int64_t{kThreads} * kPacks * kCount;

/// packs(i), for this thread's packs of `kCount` elements, which begin at i, i + kThreads · kCount, …; one(i) for each
/// of its elements in the last tile, which is not full.
///
/// All kernels here have one block per tile and move what must be moved: the inputs once, the output once.
template <class T, int kPacks, int kCount, class Packs, class One>
__device__ void tile(int64_t n, const Packs& packs, const One& one) {
  const int64_t begin = blockIdx.x * kTile<T, kPacks, kCount>;
  if (begin + kTile<T, kPacks, kCount> <= n) return packs(begin + kCount * threadIdx.x);
  for (int64_t i = begin + threadIdx.x; i < n; i += kThreads) one(i);
}

/// The inputs' bits.
template <class T, int kCount>
__global__ void __launch_bounds__(kThreads) copy_elements(const T* from, T* to, int64_t n, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kPacks = 4, kStep = kThreads * kCount;
  using Pack = Elements<T, kCount>;
  tile<T, kPacks, kCount>(
      n,
      [&](int64_t first) {
        Pack x[kPacks];
#pragma unroll
        for (int p = 0; p < kPacks; p++) x[p] = *reinterpret_cast<const Pack*>(from + first + p * kStep);
#pragma unroll
        for (int p = 0; p < kPacks; p++) *reinterpret_cast<Pack*>(to + first + p * kStep) = x[p];
      },
      [&](int64_t i) { to[i] = from[i]; });
}

/// What sums are made in (merge.h). Double arithmetic is far from being the limit where it runs at half the rate of
/// float32, and hardly is at 1/64 of it.
template <class T>
struct NumberOf {
  using Type = float;
};
template <>
struct NumberOf<float> {
  using Type = double;
};
template <class T>
using Number = typename NumberOf<T>::Type;

__device__ double multiply_add(double x, double y, double z) { return fma(x, y, z); }
__device__ float multiply_add(float x, float y, float z) { return fmaf(x, y, z); }

template <class T>
__device__ T rounded(Number<T> value) {
  return narrowed<T>(static_cast<float>(value));
}

/// With `factors` of a and b in place of the weight's.
template <class T, int kCount>
__global__ void __launch_bounds__(kThreads) lerp_elements(Lerp<T> a, const double* factors, FaultPort port) {
  if (failed(port)) return;  // also when the factors are what failed
  constexpr int kPacks = 4, kStep = kThreads * kCount;
  using Pack = Elements<T, kCount>;
  const auto of_a = static_cast<Number<T>>(factors ? factors[0] : 1 - a.weight);
  const auto of_b = static_cast<Number<T>>(factors ? factors[1] : a.weight);
  const auto mixed = [&](T x, T y) {
    return rounded<T>(multiply_add(Number<T>{widened(y)}, of_b, Number<T>{widened(x)} * of_a));
  };
  tile<T, kPacks, kCount>(
      a.n,
      [&](int64_t first) {
        Pack x[kPacks], y[kPacks];
#pragma unroll
        for (int p = 0; p < kPacks; p++) {
          x[p] = *reinterpret_cast<const Pack*>(a.a + first + p * kStep);
          y[p] = *reinterpret_cast<const Pack*>(a.b + first + p * kStep);
        }
#pragma unroll
        for (int p = 0; p < kPacks; p++) {
#pragma unroll
          for (int k = 0; k < kCount; k++) x[p].at[k] = mixed(x[p].at[k], y[p].at[k]);
          *reinterpret_cast<Pack*>(a.out + first + p * kStep) = x[p];
        }
      },
      [&](int64_t i) { a.out[i] = mixed(a.a[i], a.b[i]); });
}

/// Inputs of a launch, by value among its parameters.
template <class T>
struct WeightedInputs {
  T* out;
  int64_t n;
  int count;
  Weighted<T> input[kAverageInputs];
};

template <class T, int kCount>
__global__ void __launch_bounds__(kThreads)
    average_elements(const __grid_constant__ WeightedInputs<T> a, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kPacks = 2, kStep = kThreads * kCount;
  using Pack = Elements<T, kCount>;
  tile<T, kPacks, kCount>(
      a.n,
      [&](int64_t first) {
        Number<T> sum[kPacks][kCount];
#pragma unroll
        for (int p = 0; p < kPacks; p++)
#pragma unroll
          for (int k = 0; k < kCount; k++) sum[p][k] = -0.0f;  // adds nothing, not even a sign
#pragma unroll 2
        for (int input = 0; input < a.count; input++) {
          const auto weight = static_cast<Number<T>>(a.input[input].weight);
          Pack x[kPacks];
#pragma unroll
          for (int p = 0; p < kPacks; p++)
            x[p] = *reinterpret_cast<const Pack*>(a.input[input].data + first + p * kStep);
#pragma unroll
          for (int p = 0; p < kPacks; p++)
#pragma unroll
            for (int k = 0; k < kCount; k++) sum[p][k] = multiply_add(Number<T>{widened(x[p].at[k])}, weight, sum[p][k]);
        }
#pragma unroll
        for (int p = 0; p < kPacks; p++) {
          Pack y;
#pragma unroll
          for (int k = 0; k < kCount; k++) y.at[k] = rounded<T>(sum[p][k]);
          *reinterpret_cast<Pack*>(a.out + first + p * kStep) = y;
        }
      },
      [&](int64_t i) {
        Number<T> sum = -0.0f;
        for (int input = 0; input < a.count; input++)
          sum = multiply_add(Number<T>{widened(a.input[input].data[i])}, static_cast<Number<T>>(a.input[input].weight), sum);
        a.out[i] = rounded<T>(sum);
      });
}

unsigned blocks_of(int64_t n, int64_t tile) { return static_cast<unsigned>((n + tile - 1) / tile); }

bool aligned(const void* address) { return (reinterpret_cast<uintptr_t>(address) & 15) == 0; }

template <class T>
void copy(const LaunchContext& context, const T* from, T* to, int64_t n) {
  if (from == to || n == 0) return;
  if (aligned(from) && aligned(to))
    CFGD_LAUNCH((copy_elements<T, kPack<T>>), dim3(blocks_of(n, kTile<T, 4, kPack<T>>)), dim3(kThreads), 0,
                context.stream, from, to, n, context.fault);
  else
    CFGD_LAUNCH((copy_elements<T, 1>), dim3(blocks_of(n, kTile<T, 4, 1>)), dim3(kThreads), 0, context.stream, from, to,
                n, context.fault);
}

int32_t check_size(int64_t n, cfgd_status* status) {
  constexpr int64_t kMost = int64_t{INT32_MAX} * kThreads;
  if (n <= kMost) return CFGD_OK;
  return cfgd_fail(status, CFGD_SHAPE, "a", "expected at most %lld elements on CUDA, got %lld",
                   static_cast<long long>(kMost), static_cast<long long>(n));
}

template <class T>
void launch_lerp(const LaunchContext& context, const Lerp<T>& a, const double* factors) {
  if (aligned(a.a) && aligned(a.b) && aligned(a.out))
    CFGD_LAUNCH((lerp_elements<T, kPack<T>>), dim3(blocks_of(a.n, kTile<T, 4, kPack<T>>)), dim3(kThreads), 0,
                context.stream, a, factors, context.fault);
  else
    CFGD_LAUNCH((lerp_elements<T, 1>), dim3(blocks_of(a.n, kTile<T, 4, 1>)), dim3(kThreads), 0, context.stream, a,
                factors, context.fault);
}

template <class T>
int32_t lerp(const LaunchContext& context, const Lerp<T>& a, cfgd_status* status) {
  if (const int32_t code = check_size(a.n, status)) return code;
  if (a.n == 0) return CFGD_OK;
  if (a.weight == 0 || a.weight == 1)
    copy(context, a.weight == 0 ? a.a : a.b, a.out, a.n);
  else
    launch_lerp(context, a, nullptr);
  return CFGD_OK;
}

template <class T>
int32_t slerp(const LaunchContext& context, const Slerp<T>& a, cfgd_status* status) {
  const Lerp<T> between = {a.a, a.b, a.out, a.weight, a.n};
  if (a.out && (a.n == 0 || a.weight == 0 || a.weight == 1)) return lerp(context, between, status);
  if (const int32_t code = check_size(a.n, status)) return code;
  const int64_t tiles = product_tiles(a.n);
  if (tiles > 0)
    CFGD_LAUNCH((sum_products<T>), dim3(static_cast<unsigned>(tiles)), dim3(kProductThreads), 0, context.stream, a,
                context.fault);
  CFGD_LAUNCH((find_factors<T>), dim3(1), dim3(kFactorThreads), 0, context.stream, a, tiles, context.fault);
  if (a.out) launch_lerp(context, between, a.sums + 3);
  return CFGD_OK;
}

int32_t explain(const FaultSite& site, cfgd_status* status) {
  return explain_slerp(static_cast<SlerpFault>(site.kind), status);
}

template <class T>
void launch_average(const LaunchContext& context, const WeightedInputs<T>& a) {
  bool wide = aligned(a.out);
  for (int i = 0; i < a.count; i++) wide = wide && aligned(a.input[i].data);
  if (wide)
    CFGD_LAUNCH((average_elements<T, kPack<T>>), dim3(blocks_of(a.n, kTile<T, 2, kPack<T>>)), dim3(kThreads), 0,
                context.stream, a, context.fault);
  else
    CFGD_LAUNCH((average_elements<T, 1>), dim3(blocks_of(a.n, kTile<T, 2, 1>)), dim3(kThreads), 0, context.stream, a,
                context.fault);
}

/// When there is room for no more, launches what is there, whose result then is the first input.
template <class T>
void add_input(const LaunchContext& context, WeightedInputs<T>& a, const Weighted<T>& input) {
  if (a.count == kAverageInputs) {
    launch_average(context, a);
    a.input[0] = {a.out, 1};
    a.count = 1;
  }
  a.input[a.count++] = input;
}

template <class T>
int32_t weighted_average(const LaunchContext& context, const WeightedAverage<T>& header, cfgd_status* status) {
  if (const int32_t code = check_size(header.n, status)) return code;
  if (header.n == 0) return CFGD_OK;
  const Weighted<T>* inputs = entries_of<Weighted<T>>(header);
  WeightedInputs<T> used;
  used.out = header.out;
  used.n = header.n;
  used.count = 0;
  // What is overwritten is read first: by the first launch, if there are several.
  for (const bool overwritten : {true, false})
    for (int64_t i = 0; i < header.count; i++)
      if (inputs[i].weight != 0 && (inputs[i].data == header.out) == overwritten) add_input(context, used, inputs[i]);
  if (used.count == 1 && used.input[0].weight == 1)
    copy(context, used.input[0].data, used.out, used.n);
  else
    launch_average(context, used);
  return CFGD_OK;
}

template <class T>
void register_for(CudaTable& table, DType type) {
  set<Lerp<T>, lerp<T>>(table, {Op::lerp, type}, explain_nothing);
  set<Slerp<T>, slerp<T>>(table, {Op::slerp, type}, explain);
  set_list<WeightedAverage<T>, Weighted<T>, weighted_average<T>>(table, {Op::weighted_average, type}, explain_nothing);
}

}  // namespace

void register_cuda_merge(CudaTable& table) {
  register_for<float>(table, DType::f32);
  register_for<bf16>(table, DType::bf16);
  register_for<f16>(table, DType::f16);
}

}  // namespace cfgd
