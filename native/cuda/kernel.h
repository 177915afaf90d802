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
using CudaLauncher = int32_t (*)(const LaunchContext& context, const void* args, cfgd_status* status);
/// Puts a fault of the operation into words.
using CudaExplainer = int32_t (*)(const FaultSite& site, cfgd_status* status);

struct CudaEntry {
  CudaLauncher launch = nullptr;
  CudaExplainer explain = nullptr;
  uint32_t bytes = 0;  // of the arguments
};

/// Operations by number.
struct CudaTable {
  CudaEntry entries[static_cast<uint32_t>(Op::count)];
};

/// Turns an error of the CUDA runtime into a status; `doing` says what failed.
int32_t cuda_check(cudaError_t error, const char* doing, cfgd_status* status);

/// Adapts `int32_t launch(const LaunchContext&, const Args&, cfgd_status*)` to a table entry.
template <class Args, int32_t (*F)(const LaunchContext&, const Args&, cfgd_status*)>
void set(CudaTable& table, Op op, CudaExplainer explain) {
  table.entries[static_cast<uint32_t>(op)] = {
      [](const LaunchContext& context, const void* args, cfgd_status* status) {
        return F(context, *static_cast<const Args*>(args), status);
      },
      explain, sizeof(Args)};
}

void register_cuda_guidance(CudaTable& table);

}  // namespace cfgd
