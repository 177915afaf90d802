// The CUDA backend: the C table of tensor/backend.h on top of the CUDA runtime. One stream per device; nothing here
// throws, and only C types leave.
#include "tensor/backend.h"

#include <cuda_runtime.h>

#include "cuda/device_state.h"
#include "cuda/kernel.h"
#include "cuda/table.h"

namespace cfgd {

const CudaTable& cuda_table() {
  static const CudaTable* made = [] {
    auto* t = new CudaTable();
    register_cuda_guidance(*t);
    register_cuda_matmul(*t);
    register_cuda_elementwise(*t);
    register_cuda_norm(*t);
    register_cuda_cross_entropy(*t);
    register_cuda_optim(*t);
    register_cuda_attention(*t);
    register_cuda_activation(*t);
    register_cuda_embedding(*t);
    register_cuda_distill(*t);
    register_cuda_diversity(*t);
    register_cuda_merge(*t);
    return t;
  }();
  return *made;
}

namespace {

int32_t launch(void* handle, uint32_t op, const void* args, uint32_t bytes, cfgd_status* status) {
  auto* device = static_cast<CudaDevice*>(handle);
  const CudaEntry* entry = cuda_table().find(Variant::of_code(op));
  if (!entry || !entry->launch) return cfgd_fail(status, CFGD_DEVICE, "", "operation %u has no CUDA kernel yet", op);
  if (const uint64_t expected = entry->size(args, bytes); bytes != expected)
    return cfgd_fail(status, CFGD_DEVICE, "", "operation %u: expected %llu bytes of arguments, got %u", op,
                     static_cast<unsigned long long>(expected), bytes);
  if (int32_t code = select(*device, status)) return code;
  const uint64_t number = device->capturing ? ++device->captured : ++device->launches;
  const uint64_t tag = tag_of(number, op) | (device->capturing ? kTagInGraph : 0);
  const LaunchContext context = {device->stream, {device->fault, tag}, device->properties.sharedMemPerBlockOptin,
                                 device->index, device->tf32, device->properties.multiProcessorCount, device->cublaslt};
  if (int32_t code = entry->launch(context, args, status)) return code;
  if (int32_t code = cuda_check(cudaGetLastError(), "launching a kernel", status)) return code;
  status->launch = number;
  return CFGD_OK;
}

int32_t synchronize(void* handle, cfgd_status* status) {
  auto* device = static_cast<CudaDevice*>(handle);
  if (int32_t code = select(*device, status)) return code;
  return settle(*device, status);
}

int32_t supports(uint32_t op) {
  const CudaEntry* entry = cuda_table().find(Variant::of_code(op));
  return entry && entry->launch;
}

int32_t set_option(void* handle, uint32_t option, int64_t value, cfgd_status* status) {
  if (option != CFGD_OPTION_TF32) return cfgd_fail(status, CFGD_VALUE, "option", "expected a known option, got %u", option);
  static_cast<CudaDevice*>(handle)->tf32 = value != 0;
  return CFGD_OK;
}

int32_t timer(void* handle, int32_t action, double* milliseconds, cfgd_status* status) {
  auto* device = static_cast<CudaDevice*>(handle);
  if (int32_t code = select(*device, status)) return code;
  const bool start = action == CFGD_TIMER_START;
  if (device->timing == start)
    return cfgd_fail(status, CFGD_VALUE, "timer", start ? "one is running already" : "none is running");
  device->timing = start;
  if (int32_t code = cuda_check(cudaEventRecord(device->timer[!start], device->stream), "recording the time", status))
    return code;
  if (start) return CFGD_OK;
  if (int32_t code = cuda_check(cudaEventSynchronize(device->timer[1]), "waiting for the device", status)) return code;
  float elapsed = 0;
  const cudaError_t error = cudaEventElapsedTime(&elapsed, device->timer[0], device->timer[1]);
  *milliseconds = static_cast<double>(elapsed);
  return cuda_check(error, "reading the time", status);
}

const cfgd_backend kBackend = {
    CFGD_BACKEND_ABI, sizeof(cfgd_backend), cuda_device_count, cuda_open,          cuda_close,
    cuda_describe,    cuda_allocate,        cuda_release,      cuda_copy,          launch,
    synchronize,      supports,             cuda_begin_graph,  cuda_end_graph,     cuda_launch_graph,
    cuda_destroy_graph, set_option,         timer,             cuda_report};

}  // namespace
}  // namespace cfgd

extern "C" __attribute__((visibility("default"))) const cfgd_backend* cfgd_backend_entry(uint32_t abi) {
  return abi == CFGD_BACKEND_ABI ? &cfgd::kBackend : nullptr;
}
