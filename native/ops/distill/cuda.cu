#include <cuda_runtime.h>

#include "cuda/fault.cuh"
#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "cuda/sum.cuh"
#include "ops/distill/distill.h"
#include "ops/distill/faults.h"
#include "ops/distill/kernel.cuh"

namespace cfgd {
namespace {

// Threads for a share of a row: the choice depends on the vocabulary and the device alone.
constexpr int64_t kShortShare = 4096;
constexpr int kShortThreads = 128, kLongThreads = 512, kLossThreads = 1024;
constexpr size_t kReservedShared = 4 << 10;  // left for the memory of the reductions

/// One block: the sum of the rows' losses, in an order that the number of rows alone decides.
__global__ void __launch_bounds__(kLossThreads)
    sum_losses(const float* row_loss, int64_t rows, float* loss, FaultPort port) {
  if (skipped(port)) return;
  int phase = 0;
  const double sum = sum_of<kLossThreads>(row_loss, rows, phase);
  if (threadIdx.x == 0) *loss = static_cast<float>(sum);
}

template <class T>
using DistillKernel = void (*)(DistillationLoss<T>, int, FaultPort);

/// How the rows of a launch are worked on.
template <class T>
struct Plan {
  int team;
  bool cached;
  int64_t share;
  size_t shared;
};

template <class T>
Plan<T> plan(const LaunchContext& context, int64_t vocab, int largest_team) {
  const size_t limit = context.shared_limit - kReservedShared;
  const auto shared_by = [&](int team) {
    const int64_t share = (vocab + team * kPack<T> - 1) / (team * kPack<T>) * kPack<T>;
    return Plan<T>{team, true, share, DistillRow<T, true>::cache_bytes(share)};
  };
  Plan<T> found = shared_by(1);
  while (found.shared > limit / 2 && found.team < largest_team) found = shared_by(2 * found.team);
  return found.shared <= limit ? found : Plan<T>{1, false, vocab, 0};
}

template <class T, Divergence kind>
DistillKernel<T> kernel_of(const Plan<T>& plan) {
  if (!plan.cached) return distill_rows<T, kind, kLongThreads, false>;
  return plan.share <= kShortShare ? distill_rows<T, kind, kShortThreads, true>
                                   : distill_rows<T, kind, kLongThreads, true>;
}

constexpr int kLargestTeam = 8;  // blocks of a cluster on every device that has clusters

/// The largest team that the device in use can launch. One thread at a time asks for one device.
int team_limit() {
#if defined(__CUDACC__)
  constexpr int kDevices = 64;
  static int known[kDevices] = {};
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess || device >= kDevices) return 1;
  if (!known[device]) {
    // The code that runs must have been compiled for clusters, too.
    int clusters = 0;
    cudaFuncAttributes code = {};
    const bool able = cudaDeviceGetAttribute(&clusters, cudaDevAttrClusterLaunch, device) == cudaSuccess && clusters &&
                      cudaFuncGetAttributes(&code, reinterpret_cast<const void*>(sum_losses)) == cudaSuccess &&
                      code.ptxVersion >= 90;
    known[device] = able ? kLargestTeam : 1;
  }
  return known[device];
#else
  return 1;
#endif
}

template <class T>
int32_t launch_rows(const LaunchContext& context, const DistillationLoss<T>& a, cfgd_status* status) {
  const Plan<T> p = plan<T>(context, a.vocab, team_limit());
  const DistillKernel<T> kernel = a.divergence == Divergence::reverse   ? kernel_of<T, Divergence::reverse>(p)
                                  : a.divergence == Divergence::forward ? kernel_of<T, Divergence::forward>(p)
                                                                        : kernel_of<T, Divergence::jsd>(p);
  if (const int32_t code = allow_shared(kernel, p.shared, kReservedShared, context, status)) return code;
  const int threads = p.cached && p.share <= kShortShare ? kShortThreads : kLongThreads;
  const unsigned blocks = static_cast<unsigned>(a.rows * p.team);
#if defined(__CUDACC__)
  if (p.team > 1) {
    cudaLaunchAttribute cluster = {};
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim.x = static_cast<unsigned>(p.team);
    cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(blocks);
    config.blockDim = dim3(static_cast<unsigned>(threads));
    config.dynamicSmemBytes = p.shared;
    config.stream = context.stream;
    config.attrs = &cluster;
    config.numAttrs = 1;
    return cuda_check(cudaLaunchKernelEx(&config, kernel, a, p.team, context.fault), "launching a kernel", status);
  }
#endif
  CFGD_LAUNCH(kernel, dim3(blocks), dim3(static_cast<unsigned>(threads)), p.shared, context.stream, a, p.team,
              context.fault);
  return CFGD_OK;
}

template <class T>
int32_t distillation_loss(const LaunchContext& context, const DistillationLoss<T>& a, cfgd_status* status) {
  constexpr int64_t kMaxRows = INT32_MAX / kLargestTeam, kMaxVocab = kFaultMaxItem / 2;
  if (a.rows > kMaxRows || a.vocab > kMaxVocab)
    return cfgd_fail(status, CFGD_SHAPE, "student", "expected at most [%lld, %lld] on CUDA, got [%lld, %lld]",
                     static_cast<long long>(kMaxRows), static_cast<long long>(kMaxVocab),
                     static_cast<long long>(a.rows), static_cast<long long>(a.vocab));
  if (a.rows > 0)
    if (const int32_t code = launch_rows(context, a, status)) return code;
  CFGD_LAUNCH(sum_losses, dim3(1), dim3(kLossThreads), 0, context.stream, a.row_loss, a.rows, a.loss, context.fault);
  return CFGD_OK;
}

}  // namespace

void register_cuda_distill(CudaTable& table) {
  set<DistillationLoss<float>, distillation_loss<float>>(table, Op::distillation_loss, explain_distill);
  set<DistillationLoss<bf16>, distillation_loss<bf16>>(table, {Op::distillation_loss, DType::bf16}, explain_distill);
}

}  // namespace cfgd
