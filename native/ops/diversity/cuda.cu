#include <cuda_runtime.h>

#include <cmath>

#include "cuda/fault.cuh"
#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "cuda/pack.cuh"
#include "cuda/reduce.cuh"
#include "cuda/sum.cuh"
#include "ops/diversity/diversity.h"
#include "ops/diversity/faults.h"

namespace cfgd {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;
constexpr int kChunk = 512;  // dimensions whose sums over the samples are kept at a time
constexpr int64_t kMaxSamples = 1024;
constexpr size_t kReservedShared = sizeof(double) * kChunk + (2 << 10);

/// The number of a value that is not finite, counted from `first` on.
__device__ int flaw_of(float value, int first) { return value != value ? first : value > 0 ? first + 1 : first + 2; }

/// What the samples of one prompt have in shared memory.
template <class T>
struct Samples {
  double* inverse_length;  // [samples]; 0 for a zero vector
  double* along;           // [samples]: the scalar product with the sum of all unit vectors
  T* cache;                // [samples, dimensions], or null

  static size_t bytes(int64_t samples, int64_t elements) {
    return 2 * sizeof(double) * static_cast<size_t>(samples) + sizeof(T) * static_cast<size_t>(elements);
  }
};

/// The squared length of sample i, by a warp, which also caches it. Products of floats are exact in double and cannot
/// overflow. Every lane gets the result.
template <class T>
__device__ double measure(const T* from, T* cache, int64_t n) {
  const int lane = threadIdx.x % kWarp;
  double square = 0;
  const auto take = [&](int64_t d, float x) {
    square += static_cast<double>(x) * x;
    if (cache) cache[d] = narrowed<T>(x);
  };
  constexpr int kCount = kPack<T>;
  const int64_t packed = aligned16(from) ? n / kCount * kCount : 0;
#pragma unroll 4
  for (int64_t d = lane * kCount; d < packed; d += kWarp * kCount) {
    float x[kCount];
    load_pack(from + d, x);
#pragma unroll
    for (int k = 0; k < kCount; k++) take(d + k, x[k]);
  }
  for (int64_t d = packed + lane; d < n; d += kWarp) take(d, widened(from[d]));
  return reduce_warp<Sum>(square);
}

/// One block per prompt. With unit vectors u_i = e_i / |e_i| and their sum s, Σ_j cos(e_i, e_j) = u_i · s: the work is
/// linear in the samples, and no pair is looked at. The embeddings are read once where those of a prompt fit into
/// shared memory, three times, mostly from the cache of the device, where they do not.
template <class T>
__global__ void __launch_bounds__(kThreads) reward_prompts(DiversityReward<T> a, bool cached, FaultPort port) {
  CFGD_DYNAMIC_SHARED(double, memory);
  __shared__ double sums[kChunk];
  if (skipped(port)) return;
  const int64_t p = blockIdx.x;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int samples = static_cast<int>(a.samples);
  const T* embeddings = a.embeddings + p * a.samples * a.dimensions;
  Samples<T> kept{memory, memory + samples, nullptr};
  if (cached) kept.cache = reinterpret_cast<T*>(kept.along + samples);
  if (a.baselines && threadIdx.x == 0 && !(fabsf(a.baselines[p]) < INFINITY))
    raise_fault(port, p, 0, flaw_of(a.baselines[p], kBaselineNaN));

  for (int i = warp; i < samples; i += kWarps) {
    const T* from = embeddings + i * a.dimensions;
    const double square = measure(from, cached ? kept.cache + i * a.dimensions : nullptr, a.dimensions);
    if (!(square < INFINITY)) {
      for (int64_t d = lane; d < a.dimensions; d += kWarp) {
        const float x = widened(from[d]);
        if (!(fabsf(x) < INFINITY)) raise_fault(port, p * a.samples + i, d, flaw_of(x, kEmbeddingNaN));
      }
    }
    if (lane == 0) {
      kept.inverse_length[i] = square > 0 ? 1 / sqrt(square) : 0;
      kept.along[i] = 0;
    }
  }
  __syncthreads();

  const T* source = cached ? kept.cache : embeddings;
  for (int64_t begin = 0; begin < a.dimensions; begin += kChunk) {
    const int width = static_cast<int>(a.dimensions - begin < kChunk ? a.dimensions - begin : kChunk);
    for (int d = static_cast<int>(threadIdx.x); d < width; d += kThreads) {
      double sum = 0;
#pragma unroll 4
      for (int j = 0; j < samples; j++)
        sum += static_cast<double>(widened(source[j * a.dimensions + begin + d])) * kept.inverse_length[j];
      sums[d] = sum;
    }
    __syncthreads();
    for (int i = warp; i < samples; i += kWarps) {
      double along = 0;
#pragma unroll 4
      for (int d = lane; d < width; d += kWarp)
        along += static_cast<double>(widened(source[i * a.dimensions + begin + d])) * sums[d];
      along = reduce_warp<Sum>(along);
      if (lane == 0) kept.along[i] += along;
    }
    __syncthreads();
  }

  // The sum of a sample's distances to the others: for each of them 1 minus the cosine. Rounding must not take it out of
  // the range that it has.
  const double others = samples - 1;
  const auto distances_of = [&](int i) {
    const double inverse = kept.inverse_length[i];
    const double sum = inverse > 0 ? others - (inverse * kept.along[i] - 1) : others;
    return sum < 0 ? 0 : sum > 2 * others ? 2 * others : sum;
  };
  double twice_all[1] = {0};
  for (int i = static_cast<int>(threadIdx.x); i < samples; i += kThreads) twice_all[0] += distances_of(i);
  int phase = 0;
  reduce_block<Sum, kThreads>(twice_all, phase);
  const double all = twice_all[0] / 2, pairs = others * samples / 2;
  for (int i = static_cast<int>(threadIdx.x); i < samples; i += kThreads) {
    const double mine = distances_of(i), reward = mine / others;
    const double baseline = a.baselines ? a.baselines[p] : samples > 2 ? (all - mine) / (pairs - others) : 0;
    a.reward[p * a.samples + i] = static_cast<float>(reward);
    a.advantage[p * a.samples + i] = static_cast<float>(reward - baseline);
  }
  if (threadIdx.x == 0) a.diversity[p] = static_cast<float>(all / pairs);
}

/// One block, after reward_prompts, for two samples per prompt: the baseline is the mean diversity of the other prompts.
__global__ void __launch_bounds__(kThreads)
    subtract_others(const float* reward, const float* diversity, float* advantage, int64_t prompts, FaultPort port) {
  if (skipped(port)) return;
  int phase = 0;
  const double total = sum_of<kThreads>(diversity, prompts, phase);
  for (int64_t i = threadIdx.x; i < 2 * prompts; i += kThreads)
    advantage[i] = static_cast<float>(reward[i] - (total - diversity[i / 2]) / static_cast<double>(prompts - 1));
}

template <class T>
int32_t diversity_reward(const LaunchContext& context, const DiversityReward<T>& a, cfgd_status* status) {
  if (a.samples > kMaxSamples || a.prompts * a.samples > kFaultMaxRow || a.dimensions > kFaultMaxItem)
    return cfgd_fail(status, CFGD_SHAPE, "embeddings",
                     "expected at most %lld samples and %lld embeddings in all on CUDA, got [%lld, %lld, %lld]",
                     static_cast<long long>(kMaxSamples), static_cast<long long>(kFaultMaxRow),
                     static_cast<long long>(a.prompts), static_cast<long long>(a.samples),
                     static_cast<long long>(a.dimensions));
  if (a.prompts == 0) return CFGD_OK;
  size_t bytes = Samples<T>::bytes(a.samples, a.samples * a.dimensions);
  const bool cached = bytes + kReservedShared <= context.shared_limit;
  if (!cached) bytes = Samples<T>::bytes(a.samples, 0);
  if (const int32_t code = allow_shared(reward_prompts<T>, bytes, kReservedShared, context, status)) return code;
  CFGD_LAUNCH(reward_prompts<T>, dim3(static_cast<unsigned>(a.prompts)), dim3(kThreads), bytes, context.stream, a,
              cached, context.fault);
  if (a.samples == 2 && !a.baselines && a.prompts > 1)
    CFGD_LAUNCH(subtract_others, dim3(1), dim3(kThreads), 0, context.stream, a.reward, a.diversity, a.advantage,
                a.prompts, context.fault);
  return CFGD_OK;
}

}  // namespace

void register_cuda_diversity(CudaTable& table) {
  set<DiversityReward<float>, diversity_reward<float>>(table, Op::diversity_reward, explain_diversity);
  set<DiversityReward<bf16>, diversity_reward<bf16>>(table, {Op::diversity_reward, DType::bf16}, explain_diversity);
}

}  // namespace cfgd
