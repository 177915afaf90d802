// The CUDA backend: the C table of tensor/backend.h on top of the CUDA runtime. One stream per device; nothing here
// throws, and only C types leave.
#include <cuda_runtime.h>

#include <cstdio>
#include <new>

#include "cuda/kernel.h"
#include "tensor/backend.h"

namespace cfgd {

int32_t cuda_check(cudaError_t error, const char* doing, cfgd_status* status) {
  if (error == cudaSuccess) return CFGD_OK;
  cudaGetLastError();  // an error that was reported here must not come up again elsewhere
  return cfgd_fail(status, error == cudaErrorMemoryAllocation ? CFGD_MEMORY : CFGD_DEVICE, "", "CUDA, %s: %s (%s)",
                   doing, cudaGetErrorString(error), cudaGetErrorName(error));
}

namespace {

constexpr int kOldestMajor = 8;  // compute capability

struct CudaDevice {
  int index = 0;
  cudaStream_t stream = nullptr;
  cudaDeviceProp properties = {};
  FaultRecord* fault = nullptr;       // on the device
  FaultRecord* fault_seen = nullptr;  // its copy in page-locked host memory
  uint64_t launches = 0;
};

const CudaTable& table() {
  static const CudaTable* made = [] {
    auto* t = new CudaTable();
    register_cuda_guidance(*t);
    register_cuda_matmul(*t);
    return t;
  }();
  return *made;
}

/// A launch's number also carries its operation, so that a fault found later can be put into words.
constexpr int kOpBits = 16;
uint64_t numbered(uint64_t count, uint32_t op) { return count << kOpBits | op; }
uint32_t op_of(uint64_t launch) { return static_cast<uint32_t>(launch & ((1u << kOpBits) - 1)); }

int32_t device_count(int32_t* count, cfgd_status* status) {
  int found = 0;
  const cudaError_t error = cudaGetDeviceCount(&found);
  *count = error == cudaSuccess ? found : 0;
  if (error == cudaSuccess && found > 0) return CFGD_OK;
  cudaGetLastError();
  if (error == cudaErrorInsufficientDriver)
    return cfgd_fail(status, CFGD_DEVICE, "device",
                     "no NVIDIA driver was found, or it is too old for this build of the CUDA backend. Install or "
                     "update the driver (see `nvidia-smi`), or use device 'cpu'");
  if (error == cudaErrorNoDevice || error == cudaSuccess)
    return cfgd_fail(status, CFGD_DEVICE, "device",
                     "no NVIDIA GPU was found. Check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or use device 'cpu'");
  return cuda_check(error, "counting devices", status);
}

void close(void* handle) {
  auto* device = static_cast<CudaDevice*>(handle);
  if (!device) return;
  cudaSetDevice(device->index);
  if (device->stream) {
    cudaStreamSynchronize(device->stream);
    cudaStreamDestroy(device->stream);
  }
  if (device->fault) cudaFree(device->fault);
  if (device->fault_seen) cudaFreeHost(device->fault_seen);
  delete device;
}

/// Puts "no fault" into the device's record, in stream order.
int32_t clear_fault(CudaDevice& device, cfgd_status* status) {
  *device.fault_seen = kNoFault;
  if (int32_t code = cuda_check(cudaMemcpyAsync(device.fault, device.fault_seen, sizeof(FaultRecord),
                                                cudaMemcpyHostToDevice, device.stream),
                                "clearing the fault record", status))
    return code;
  return cuda_check(cudaStreamSynchronize(device.stream), "clearing the fault record", status);
}

int32_t prepare(CudaDevice& device, cfgd_status* status) {
  if (int32_t code = cuda_check(cudaSetDevice(device.index), "selecting the device", status)) return code;
  if (int32_t code = cuda_check(cudaGetDeviceProperties(&device.properties, device.index), "asking for its properties",
                                status))
    return code;
  if (device.properties.major < kOldestMajor)
    return cfgd_fail(status, CFGD_DEVICE, "device", "expected compute capability %d.0 or newer, got %d.%d (%.80s)",
                     kOldestMajor, device.properties.major, device.properties.minor, device.properties.name);
  if (int32_t code = cuda_check(cudaStreamCreateWithFlags(&device.stream, cudaStreamNonBlocking), "making a stream",
                                status))
    return code;
  void* memory = nullptr;
  if (int32_t code = cuda_check(cudaMalloc(&memory, sizeof(FaultRecord)), "allocating the fault record", status))
    return code;
  device.fault = static_cast<FaultRecord*>(memory);
  if (int32_t code = cuda_check(cudaMallocHost(&memory, sizeof(FaultRecord)), "allocating the fault record", status))
    return code;
  device.fault_seen = static_cast<FaultRecord*>(memory);
  return clear_fault(device, status);
}

int32_t open(int32_t index, void** handle, cfgd_status* status) {
  auto* device = new (std::nothrow) CudaDevice();
  if (!device) return cfgd_fail(status, CFGD_MEMORY, "", "out of memory for the state of a CUDA device");
  device->index = index;
  const int32_t code = prepare(*device, status);
  if (code != CFGD_OK) {
    close(device);
    return code;
  }
  *handle = device;
  return CFGD_OK;
}

void describe(void* handle, char* name, uint32_t bytes) {
  const cudaDeviceProp& p = static_cast<CudaDevice*>(handle)->properties;
  std::snprintf(name, bytes, "%s (compute capability %d.%d, %.1f GiB)", p.name, p.major, p.minor,
                static_cast<double>(p.totalGlobalMem) / (1 << 30));
}

void* allocate(void* handle, uint64_t bytes, cfgd_status* status) {
  auto* device = static_cast<CudaDevice*>(handle);
  if (cuda_check(cudaSetDevice(device->index), "selecting the device", status)) return nullptr;
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, bytes);
  if (error == cudaSuccess) return memory;
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    cfgd_fail(status, CFGD_MEMORY, "", "out of memory: cuda:%d gave no %llu bytes", device->index,
              static_cast<unsigned long long>(bytes));
  } else {
    cuda_check(error, "allocating memory", status);
  }
  return nullptr;
}

void release(void* handle, void* memory) {
  cudaSetDevice(static_cast<CudaDevice*>(handle)->index);
  cudaFree(memory);
}

/// Waits for the stream, then reports the fault that a kernel has raised since the last report.
int32_t settle(CudaDevice& device, cfgd_status* status) {
  if (int32_t code = cuda_check(cudaMemcpyAsync(device.fault_seen, device.fault, sizeof(FaultRecord),
                                                cudaMemcpyDeviceToHost, device.stream),
                                "reading the fault record", status))
    return code;
  if (int32_t code = cuda_check(cudaStreamSynchronize(device.stream), "waiting for the device", status)) return code;
  const FaultRecord fault = *device.fault_seen;
  if (fault.launch == 0) return CFGD_OK;
  if (int32_t code = clear_fault(device, status)) return code;
  status->launch = fault.launch;
  const CudaEntry* entry = table().find(Variant::of_code(op_of(fault.launch)));
  return entry->explain(unpacked(fault), status);
}

int32_t copy(void* handle, void* to, const void* from, uint64_t bytes, int32_t direction, cfgd_status* status) {
  auto* device = static_cast<CudaDevice*>(handle);
  if (int32_t code = cuda_check(cudaSetDevice(device->index), "selecting the device", status)) return code;
  const cudaMemcpyKind kind = direction == CFGD_TO_DEVICE ? cudaMemcpyHostToDevice
                              : direction == CFGD_TO_HOST ? cudaMemcpyDeviceToHost
                                                          : cudaMemcpyDeviceToDevice;
  if (bytes) {
    if (int32_t code = cuda_check(cudaMemcpyAsync(to, from, bytes, kind, device->stream), "copying", status))
      return code;
  }
  if (direction == CFGD_TO_HOST) return settle(*device, status);
  // Pageable memory may be read later than the call returns.
  if (direction == CFGD_TO_DEVICE && bytes)
    return cuda_check(cudaStreamSynchronize(device->stream), "copying to the device", status);
  return CFGD_OK;
}

int32_t launch(void* handle, uint32_t op, const void* args, uint32_t bytes, cfgd_status* status) {
  auto* device = static_cast<CudaDevice*>(handle);
  const CudaEntry* entry = table().find(Variant::of_code(op));
  if (!entry || !entry->launch) return cfgd_fail(status, CFGD_DEVICE, "", "operation %u has no CUDA kernel yet", op);
  if (const uint64_t expected = entry->size(args, bytes); bytes != expected)
    return cfgd_fail(status, CFGD_DEVICE, "", "operation %u: expected %llu bytes of arguments, got %u", op,
                     static_cast<unsigned long long>(expected), bytes);
  if (int32_t code = cuda_check(cudaSetDevice(device->index), "selecting the device", status)) return code;
  const uint64_t number = numbered(++device->launches, op);
  const LaunchContext context = {device->stream, {device->fault, number}, device->properties.sharedMemPerBlockOptin,
                                 device->properties.multiProcessorCount};
  if (int32_t code = entry->launch(context, args, status)) return code;
  if (int32_t code = cuda_check(cudaGetLastError(), "launching a kernel", status)) return code;
  status->launch = number;
  return CFGD_OK;
}

int32_t synchronize(void* handle, cfgd_status* status) {
  auto* device = static_cast<CudaDevice*>(handle);
  if (int32_t code = cuda_check(cudaSetDevice(device->index), "selecting the device", status)) return code;
  return settle(*device, status);
}

const cfgd_backend kBackend = {
    CFGD_BACKEND_ABI, sizeof(cfgd_backend), device_count, open, close,       describe, allocate,
    release,          copy,                 launch,       synchronize};

}  // namespace
}  // namespace cfgd

extern "C" __attribute__((visibility("default"))) const cfgd_backend* cfgd_backend_entry(uint32_t abi) {
  return abi == CFGD_BACKEND_ABI ? &cfgd::kBackend : nullptr;
}
