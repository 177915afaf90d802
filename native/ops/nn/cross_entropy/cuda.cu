#include <cuda_runtime.h>

#include <cfloat>

#include "cuda/fault.cuh"
#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "cuda/row.cuh"
#include "ops/nn/cross_entropy/cross_entropy.h"
#include "ops/nn/cross_entropy/faults.h"

namespace cfgd {
namespace {

constexpr int kLossThreads = 1024;
// Left for the memory of the reductions, and for moving the row to where its packs are aligned.
constexpr size_t kReservedShared = 2 << 10;

__device__ bool finite(float x) { return fabsf(x) < INFINITY; }

/// Raises the fault of a row's target or weight; false when there is none.
__device__ bool faulty(const FaultPort& port, int64_t r, int64_t target, float weight, int64_t vocab) {
  const bool bad_target = target < -1 || target >= vocab;
  if (!bad_target && finite(weight)) return false;
  if (threadIdx.x == 0) {
    if (bad_target)
      raise_fault(port, r, target < 0 ? -1 - target : target, target < 0 ? kTargetNegative : kTargetBeyond, vocab);
    else
      raise_fault(port, r, bits_of(weight) & 0x7fffffffu, bits_of(weight) >> 31 ? kWeightNegative : kWeightPositive);
  }
  return true;
}

/// The running maximum of some logits, and Σ exp(logit − maximum).
struct Softmax {
  float top = -FLT_MAX;  // not −∞, so that differences from it are numbers
  double sum = 0;

  template <int kWidth>
  __device__ void add(const float (&x)[kWidth]) {
    float highest = x[0];
#pragma unroll
    for (int k = 1; k < kWidth; k++) highest = fmaxf(highest, x[k]);
    if (highest > top) {
      sum *= static_cast<double>(expf(top - highest));
      top = highest;
    }
    float part = 0;
#pragma unroll
    for (int k = 0; k < kWidth; k++) part += expf(x[k] - top);
    sum += static_cast<double>(part);
  }
};

// One row per block. The first pass reads it, keeping it in shared memory where it fits (kCached), and finds maximum
// and sum in one go; the second writes the gradient from there, or from a second read, which the L2 cache serves as
// long as the rows in flight fit. Bytes moved: one read and one write of the logits, the least possible, plus the second
// read where L2 is too small. Rows need not begin at multiples of 16 bytes, as they do not when the vocabulary is odd:
// what is before the first pack is treated one by one.
template <class T, int kThreads, bool kCached>
__global__ void __launch_bounds__(kThreads) cross_entropy_rows(CrossEntropy<T> a, FaultPort port) {
  CFGD_DYNAMIC_SHARED(T, shared);
  __shared__ float shared_factor, shared_at_target;
  if (skipped(port)) return;
  constexpr int kWidth = kPack<T>;
  const int64_t r = blockIdx.x, vocab = a.vocab, target = a.targets[r];
  const T* logits = a.logits + r * vocab;
  T* grad = a.grad + r * vocab;
  const float weight = a.weights ? a.weights[r] : 1.0f;
  if (faulty(port, r, target, weight, vocab)) return;

  // Packs from `head` to `tail`; all else one by one.
  const auto misplaced = static_cast<unsigned>(reinterpret_cast<uintptr_t>(logits) % 16);
  const bool wide = reinterpret_cast<uintptr_t>(grad) % 16 == misplaced;
  const int64_t before = wide ? (16 - misplaced) % 16 / sizeof(T) : vocab, head = before < vocab ? before : vocab;
  const int64_t tail = head + (vocab - head) / kWidth * kWidth;
  const auto scan = [&](const T* row, const auto& body) {
    scan_row<kThreads, kWidth>(row + head, tail - head,
                               [&](int64_t i, const float(&x)[kWidth]) { body(head + i, x); });
    scan_row<kThreads, 1>(row, head, [&](int64_t i, const float(&x)[1]) { body(i, x); });
    scan_row<kThreads, 1>(row + tail, vocab - tail, [&](int64_t i, const float(&x)[1]) { body(tail + i, x); });
  };
  const auto clear = [&] {
    constexpr float kZeros[kWidth] = {};
    for (int64_t i = head + int64_t{threadIdx.x} * kWidth; i < tail; i += kThreads * kWidth)
      store_elements(grad + i, kZeros);
    for (int64_t i = threadIdx.x; i < head; i += kThreads) grad[i] = narrowed<T>(0);
    for (int64_t i = tail + threadIdx.x; i < vocab; i += kThreads) grad[i] = narrowed<T>(0);
  };

  if (target < 0) {
    if (threadIdx.x == 0) a.per_row[r] = 0;
    clear();
    return;
  }

  T* const cache = shared + (head < kWidth ? (kWidth - head) % kWidth : 0);  // packs are aligned there too
  const float at_target = widened(logits[target]);
  Softmax softmax;
  bool bad = false;
  scan(logits, [&]<int kCount>(int64_t i, const float(&x)[kCount]) {
    bool below = true;
#pragma unroll
    for (int k = 0; k < kCount; k++) below = below && x[k] < INFINITY;
    if (!below && !bad) {  // the first of this thread is enough: it meets its packs in order
      bad = true;
      for (int k = kCount - 1; k >= 0; k--)
        if (!(x[k] < INFINITY))
          raise_fault(port, kLogitRow | r, i + k, x[k] == INFINITY ? kLogitInfinity : kLogitNaN);
    }
    softmax.add(x);
    if constexpr (kCached) store_elements(cache + i, x);
  });

  int phase = 0;
  float top[1] = {bad ? INFINITY : softmax.top};
  reduce_block<Maximum, kThreads>(top, phase);
  if (top[0] == INFINITY) return;
  if (at_target == -INFINITY) {
    if (threadIdx.x == 0) raise_fault(port, kLogitRow | r, target, kLogitAtTarget);
    return;
  }
  double sum[1] = {softmax.sum * static_cast<double>(expf(softmax.top - top[0]))};
  reduce_block<Sum, kThreads>(sum, phase);
  const float scale = a.weights ? a.factor * weight : a.factor;
  if (threadIdx.x == 0) {
    const double below_top = static_cast<double>(at_target) - static_cast<double>(top[0]);
    a.per_row[r] = static_cast<float>(log(sum[0]) - below_top);
    shared_factor = static_cast<float>(static_cast<double>(scale) / sum[0]);
    const auto share = static_cast<double>(expf(at_target - top[0]));
    shared_at_target = static_cast<float>((share - sum[0]) / sum[0] * static_cast<double>(scale));
  }
  if (scale == 0) return clear();
  __syncthreads();
  const float factor = shared_factor, target_grad = shared_at_target;
  scan(kCached ? cache : logits, [&]<int kCount>(int64_t i, const float(&x)[kCount]) {
    float out[kCount];
#pragma unroll
    for (int k = 0; k < kCount; k++) out[k] = i + k == target ? target_grad : expf(x[k] - top[0]) * factor;
    store_elements(grad + i, out);
  });
}

// One block: loss = factor · Σ weights · per_row, in a fixed order and in double. That is little beside the logits.
__global__ void __launch_bounds__(kLossThreads)
    sum_losses(const float* per_row, const float* weights, float factor, float* loss, int64_t rows, FaultPort port) {
  if (skipped(port)) return;
  double total[1] = {0};
#pragma unroll 4
  for (int64_t r = threadIdx.x; r < rows; r += kLossThreads)
    total[0] += static_cast<double>(weights ? weights[r] : 1.0f) * static_cast<double>(per_row[r]);
  int phase = 0;
  reduce_block<Sum, kLossThreads>(total, phase);
  if (threadIdx.x == 0) loss[0] = static_cast<float>(total[0] * static_cast<double>(factor));
}

template <class T, int kThreads>
int32_t launch_rows(const LaunchContext& context, const CrossEntropy<T>& a, cfgd_status* status) {
  const size_t bytes = static_cast<size_t>(a.vocab) * sizeof(T) + 16;
  const bool cached = bytes + kReservedShared <= context.shared_limit;
  const auto kernel = cached ? cross_entropy_rows<T, kThreads, true> : cross_entropy_rows<T, kThreads, false>;
  if (const int32_t code = allow_shared(kernel, cached ? bytes : 0, kReservedShared, context, status)) return code;
  CFGD_LAUNCH(kernel, dim3(static_cast<unsigned>(a.rows)), dim3(kThreads), cached ? bytes : 0, context.stream, a,
              context.fault);
  return CFGD_OK;
}

template <class T>
int32_t cross_entropy(const LaunchContext& context, const CrossEntropy<T>& a, cfgd_status* status) {
  if (a.rows >= kLogitRow || a.vocab > kFaultMaxItem)
    return cfgd_fail(status, CFGD_SHAPE, "logits", "expected at most [%lld, %lld] on CUDA, got [%lld, %lld]",
                     static_cast<long long>(kLogitRow - 1), static_cast<long long>(kFaultMaxItem),
                     static_cast<long long>(a.rows), static_cast<long long>(a.vocab));
  if (a.rows > 0) {
    // Some eight elements or more for each thread.
    const int32_t code = a.vocab <= 256     ? launch_rows<T, 32>(context, a, status)
                         : a.vocab <= 4096  ? launch_rows<T, 128>(context, a, status)
                         : a.vocab <= 16384 ? launch_rows<T, 512>(context, a, status)
                                            : launch_rows<T, 1024>(context, a, status);
    if (code != CFGD_OK) return code;
  }
  CFGD_LAUNCH(sum_losses, dim3(1), dim3(kLossThreads), 0, context.stream, a.per_row, a.weights, a.factor, a.loss,
              a.rows, context.fault);
  return CFGD_OK;
}

}  // namespace

void register_cuda_cross_entropy(CudaTable& table) {
  set<CrossEntropy<float>, cross_entropy<float>>(table, Op::cross_entropy, explain_cross_entropy);
  set<CrossEntropy<bf16>, cross_entropy<bf16>>(table, {Op::cross_entropy, DType::bf16}, explain_cross_entropy);
}

}  // namespace cfgd
