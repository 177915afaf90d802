#include <cuda_runtime.h>

#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "ops/optim/norm.cuh"
#include "ops/optim/optim.h"
#include "ops/optim/update.cuh"

namespace cfgd {
namespace {

static_assert(sizeof(SquareBatch) + sizeof(double*) + sizeof(FaultPort) <= kParameterBytes);
static_assert(sizeof(UpdateBatch) + sizeof(AdamWStep*) + sizeof(FaultPort) <= kParameterBytes);

int32_t check_count(int64_t count, cfgd_status* status) {
  constexpr int64_t kMost = int64_t{1} << kGradientTensorBits;
  if (count <= kMost) return CFGD_OK;
  return cfgd_fail(status, CFGD_SHAPE, "gradients", "expected at most %lld tensors on CUDA, got %lld",
                   static_cast<long long>(kMost), static_cast<long long>(count));
}

int32_t global_norm(const LaunchContext& c, const GlobalNormArgs& a, cfgd_status* status) {
  if (const int32_t code = check_count(a.count, status)) return code;
  int64_t tiles = 0;
  const auto* entries = entries_of<GlobalNormTensor>(a);
  const auto entry_at = [&](int64_t e) { return entries[e]; };
  for_batches<SquareBatch>(a.count, entry_at, [&](const SquareBatch& batch, unsigned blocks) {
    CFGD_LAUNCH(sum_squares, dim3(blocks), dim3(kSquareThreads), 0, c.stream, batch, a.workspace, c.fault);
    tiles = batch.tiles_before + blocks;
  });
  CFGD_LAUNCH(finish_norm, dim3(1), dim3(kFinishThreads), 0, c.stream, a.workspace, tiles, a.norm, c.fault);
  return CFGD_OK;
}

int32_t adamw(const LaunchContext& c, const AdamWArgs& a, cfgd_status* status) {
  if (const int32_t code = check_count(a.count, status)) return code;
  const auto* entries = entries_of<AdamWTensor>(a);
  CFGD_LAUNCH(prepare_step, dim3(1), dim3(1), 0, c.stream, a, c.fault);
  if (!a.norm) {
    // Nobody has looked at the gradients yet, and nothing may change before someone has.
    const auto gradient_at = [&](int64_t e) { return GlobalNormTensor{entries[e].gradient, entries[e].n}; };
    for_batches<SquareBatch>(a.count, gradient_at, [&](const SquareBatch& batch, unsigned blocks) {
      CFGD_LAUNCH(sum_squares, dim3(blocks), dim3(kSquareThreads), 0, c.stream, batch, static_cast<double*>(nullptr),
                  c.fault);
    });
  }
  const auto entry_at = [&](int64_t e) { return entries[e]; };
  for_batches<UpdateBatch>(a.count, entry_at, [&](const UpdateBatch& batch, unsigned blocks) {
    CFGD_LAUNCH(update_tiles, dim3(blocks), dim3(kUpdateThreads), 0, c.stream, batch,
                static_cast<const AdamWStep*>(a.workspace), c.fault);
  });
  return CFGD_OK;
}

}  // namespace

void register_cuda_optim(CudaTable& table) {
  set_list<GlobalNormArgs, GlobalNormTensor, global_norm>(table, Op::global_norm, explain_optim);
  set_list<AdamWArgs, AdamWTensor, adamw>(table, Op::adamw, explain_optim);
}

}  // namespace cfgd
