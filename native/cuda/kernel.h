// How an operation enters the table of the CUDA backend. Host code.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "cuda/fault.h"
#include "ops/op.h"
#include "tensor/backend.h"

namespace cfgd {

class CublasLt;

struct LaunchContext {
  cudaStream_t stream;
  FaultPort fault;
  size_t shared_limit;  // bytes of shared memory that a block can have
  int device;
  bool tf32;  // CFGD_OPTION_TF32
  int multiprocessors;
  CublasLt* cublaslt;  // null where the library is not loaded
};

/// Enqueues the kernels of an operation on its arguments.
using CudaLauncher = int32_t (*)(const LaunchContext& context, const void* args, cfgd_status* status);
/// How many bytes an operation's arguments must have, of which `bytes` came.
using CudaSizer = uint64_t (*)(const void* args, uint32_t bytes);
/// Puts a fault of the operation into words.
using CudaExplainer = int32_t (*)(const FaultSite& site, cfgd_status* status);

struct CudaEntry {
  CudaLauncher launch = nullptr;
  CudaExplainer explain = nullptr;
  CudaSizer size = nullptr;
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

/// Turns an error of the CUDA runtime into a status with cause and remedy; `doing` says what failed.
int32_t cuda_check(cudaError_t error, const char* doing, cfgd_status* status);

/// What every block can have of shared memory without asking.
constexpr size_t kSharedForAll = 48 << 10;

/// Lets a kernel, whose own shared variables take up to `reserved` bytes, be launched with `bytes` of dynamic shared
/// memory. It is allowed all there is, whatever it needs now: a graph may hold an earlier launch that needed more.
template <class Kernel>
int32_t allow_shared(Kernel* kernel, size_t bytes, size_t reserved, const LaunchContext& context, cfgd_status* status) {
  if (bytes + reserved <= kSharedForAll) return CFGD_OK;
  if (bytes + reserved > context.shared_limit)
    return cfgd_fail(status, CFGD_DEVICE, "", "a kernel needs %zu bytes of shared memory, a block has at most %zu here",
                     bytes + reserved, context.shared_limit);
  return cuda_check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                         cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         static_cast<int>(context.shared_limit - reserved)),
                    "reserving shared memory", status);
}

/// Adapts `int32_t launch(const LaunchContext&, const Args&, cfgd_status*)` to a table entry.
template <class Args, int32_t (*F)(const LaunchContext&, const Args&, cfgd_status*)>
void set(CudaTable& table, Variant variant, CudaExplainer explain) {
  table.at(variant) = {
      [](const LaunchContext& context, const void* args, cfgd_status* status) {
        return F(context, *static_cast<const Args*>(args), status);
      },
      explain, [](const void*, uint32_t) -> uint64_t { return sizeof(Args); }};
}

/// The entries that follow arguments in memory.
template <class Entry, class Args>
const Entry* entries_of(const Args& args) {
  static_assert(sizeof(Args) % alignof(Entry) == 0);
  return reinterpret_cast<const Entry*>(&args + 1);
}

/// As `set`, for arguments that are followed by `Args::count` entries.
template <class Args, class Entry, int32_t (*F)(const LaunchContext&, const Args&, cfgd_status*)>
void set_list(CudaTable& table, Variant variant, CudaExplainer explain) {
  set<Args, F>(table, variant, explain);
  table.at(variant).size = [](const void* args, uint32_t bytes) -> uint64_t {
    if (bytes < sizeof(Args)) return sizeof(Args);
    const int64_t count = static_cast<const Args*>(args)->count;
    constexpr int64_t kMost = (UINT32_MAX - sizeof(Args)) / sizeof(Entry);
    return sizeof(Args) + static_cast<uint64_t>(count < 0 ? 0 : count > kMost ? kMost + 1 : count) * sizeof(Entry);
  };
}

/// For operations that cannot fail.
inline int32_t explain_nothing(const FaultSite&, cfgd_status* status) {
  return cfgd_fail(status, CFGD_DEVICE, "", "a fault was reported by an operation that has none");
}

void register_cuda_guidance(CudaTable& table);
void register_cuda_matmul(CudaTable& table);
void register_cuda_elementwise(CudaTable& table);
void register_cuda_norm(CudaTable& table);
void register_cuda_cross_entropy(CudaTable& table);
void register_cuda_optim(CudaTable& table);
void register_cuda_attention(CudaTable& table);
void register_cuda_activation(CudaTable& table);
void register_cuda_embedding(CudaTable& table);
void register_cuda_distill(CudaTable& table);
void register_cuda_diversity(CudaTable& table);
void register_cuda_merge(CudaTable& table);

}  // namespace cfgd
