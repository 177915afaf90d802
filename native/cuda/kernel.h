// How an operation enters the table of the CUDA backend. Host code.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "cuda/fault.h"
#include "ops/op.h"
#include "tensor/backend.h"

namespace cfgd {

struct LaunchContext {
  cudaStream_t stream;
  FaultPort fault;
  size_t shared_limit;  // bytes of shared memory that a block can have
};

/// Enqueues the kernels of an operation on its arguments.
using CudaLauncher = int32_t (*)(const LaunchContext& context, const void* args, uint32_t bytes, cfgd_status* status);
/// Puts a fault of the operation into words.
using CudaExplainer = int32_t (*)(const FaultSite& site, cfgd_status* status);

struct CudaEntry {
  CudaLauncher launch = nullptr;
  CudaExplainer explain = nullptr;
  uint32_t bytes = 0;  // of the arguments; 0: they differ in length
};

/// Operations by type of element and number.
class CudaTable {
 public:
  CudaEntry& at(Variant variant) { return entries_[row_of(variant.type)][static_cast<uint32_t>(variant.op)]; }
  /// Null when there is no such operation.
  const CudaEntry* find(Variant variant) const {
    const bool known = static_cast<uint32_t>(variant.op) < static_cast<uint32_t>(Op::count) &&
                       (variant.type == DType::f32 || variant.type == DType::bf16 || variant.type == DType::f16);
    return known ? &entries_[row_of(variant.type)][static_cast<uint32_t>(variant.op)] : nullptr;
  }

 private:
  static int row_of(DType type) { return type == DType::f32 ? 0 : type == DType::bf16 ? 1 : 2; }
  CudaEntry entries_[3][static_cast<uint32_t>(Op::count)];
};

/// Turns an error of the CUDA runtime into a status; `doing` says what failed.
int32_t cuda_check(cudaError_t error, const char* doing, cfgd_status* status);

/// Adapts `int32_t launch(const LaunchContext&, const Args&, cfgd_status*)` to a table entry.
template <class Args, int32_t (*F)(const LaunchContext&, const Args&, cfgd_status*)>
void set(CudaTable& table, Variant variant, CudaExplainer explain) {
  table.at(variant) = {
      [](const LaunchContext& context, const void* args, uint32_t, cfgd_status* status) {
        return F(context, *static_cast<const Args*>(args), status);
      },
      explain, sizeof(Args)};
}

/// For operations that cannot fail.
inline int32_t explain_nothing(const FaultSite&, cfgd_status* status) {
  return cfgd_fail(status, CFGD_DEVICE, "", "a fault was reported that has no name");
}

void register_cuda_guidance(CudaTable& table);
void register_cuda_distill(CudaTable& table);
void register_cuda_diversity(CudaTable& table);
void register_cuda_merge(CudaTable& table);

}  // namespace cfgd
