// Memory of a CUDA device: allocation and copies.
#include "cuda/device_state.h"
#include "cuda/kernel.h"

namespace cfgd {

void* cuda_allocate(void* handle, uint64_t bytes, cfgd_status* status) {
  auto* device = static_cast<CudaDevice*>(handle);
  if (select(*device, status)) return nullptr;
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, bytes);
  if (error == cudaSuccess) return memory;
  if (error != cudaErrorMemoryAllocation) {
    cuda_check(error, "allocating memory", status);
    return nullptr;
  }
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  cudaGetLastError();
  cfgd_fail(status, CFGD_MEMORY, "",
            "out of memory: cuda:%d gave no %llu bytes; %llu of its %llu bytes are free. Use smaller batches, dispose "
            "tensors sooner, or stop other programs on this GPU (`nvidia-smi` lists them)",
            device->index, static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(free),
            static_cast<unsigned long long>(total));
  return nullptr;
}

void cuda_release(void* handle, void* memory) {
  cudaSetDevice(static_cast<CudaDevice*>(handle)->index);
  cudaFree(memory);
}

int32_t cuda_copy(void* handle, void* to, const void* from, uint64_t bytes, int32_t direction, cfgd_status* status) {
  auto* device = static_cast<CudaDevice*>(handle);
  if (int32_t code = select(*device, status)) return code;
  if (direction == CFGD_TO_DEVICE) return device->staging.upload(to, from, bytes, device->stream, status);
  if (direction == CFGD_TO_HOST) {
    Staging::Part last;
    if (int32_t code = device->staging.download(to, from, bytes, device->stream, &last, status)) return code;
    const int32_t settled = settle(*device, status);
    if (settled != CFGD_OK && status->launch == 0) return settled;
    cfgd_status failure = {};
    if (device->staging.finish(last, &failure) == CFGD_OK) return settled;
    *status = failure;
    return failure.code;
  }
  if (bytes == 0) return CFGD_OK;
  return cuda_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, device->stream), "copying", status);
}

}  // namespace cfgd
