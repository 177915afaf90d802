// Finding and opening CUDA devices, with words for a machine on which that fails.
#include <cstdio>
#include <new>

#include "cuda/device_state.h"
#include "cuda/kernel.h"

namespace cfgd {
namespace {

constexpr int kOldestMajor = 8;  // compute capability

/// The first branch of the driver for the runtime's major version.
int driver_branch(int runtime) { return runtime >= 13000 ? 580 : 525; }

int32_t no_driver(cfgd_status* status) {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  cudaGetLastError();
  const int major = runtime / 1000, minor = runtime % 1000 / 10, branch = driver_branch(runtime);
  if (driver == 0)
    return cfgd_fail(status, CFGD_DEVICE, "device",
                     "no NVIDIA driver was found. Install the driver of branch %d or newer (for CUDA %d.%d; `nvidia-smi` "
                     "shows what is installed; a container needs the NVIDIA container toolkit), or use device 'cpu'",
                     branch, major, minor);
  return cfgd_fail(status, CFGD_DEVICE, "device",
                   "the NVIDIA driver is too old: it supports CUDA %d.%d, the CUDA backend was built with CUDA %d.%d. "
                   "Install the driver of branch %d or newer, or build the backend with a CUDA toolkit of version %d "
                   "(`npm run build:cuda`), or use device 'cpu'",
                   driver / 1000, driver % 1000 / 10, major, minor, branch, driver / 1000);
}

int32_t prepare(CudaDevice& device, cfgd_status* status) {
  if (int32_t code = select(device, status)) return code;
  if (int32_t code = cuda_check(cudaGetDeviceProperties(&device.properties, device.index), "asking for its properties",
                                status))
    return code;
  if (device.properties.major < kOldestMajor)
    return cfgd_fail(status, CFGD_DEVICE, "device",
                     "expected a GPU of compute capability %d.0 or newer (Ampere, 2020), got %d.%d (%.80s). Choose another "
                     "with device 'cuda:<index>' or CUDA_VISIBLE_DEVICES, or use device 'cpu'",
                     kOldestMajor, device.properties.major, device.properties.minor, device.properties.name);
  if (int32_t code =
          cuda_check(cudaStreamCreateWithFlags(&device.stream, cudaStreamNonBlocking), "making a stream", status))
    return code;
  void* memory = cuda_allocate(&device, sizeof(FaultRecord), status);
  if (!memory) return status->code;
  device.fault = static_cast<FaultRecord*>(memory);
  if (int32_t code =
          cuda_check(cudaMallocHost(&memory, sizeof(FaultRecord)), "allocating page-locked memory", status))
    return code;
  device.fault_seen = static_cast<FaultRecord*>(memory);
  for (cudaEvent_t& event : device.timer)
    if (int32_t code = cuda_check(cudaEventCreateWithFlags(&event, cudaEventDefault), "making an event", status))
      return code;
  if (int32_t code = clear_fault(device, status)) return code;
  cuda_load_graphs(device);
  if (int32_t code = cuda_check(cudaGetLastError(), "launching a first kernel", status)) return code;
  if (int32_t code = CublasLt::open(&device.cublaslt, status)) return code;
  return clear_fault(device, status);
}

}  // namespace

int32_t cuda_device_count(int32_t* count, cfgd_status* status) {
  int found = 0;
  const cudaError_t error = cudaGetDeviceCount(&found);
  *count = error == cudaSuccess ? found : 0;
  if (error == cudaSuccess && found > 0) return CFGD_OK;
  cudaGetLastError();
  if (error == cudaErrorInsufficientDriver) return no_driver(status);
  if (error == cudaErrorNoDevice || error == cudaSuccess)
    return cfgd_fail(status, CFGD_DEVICE, "device",
                     "no NVIDIA GPU was found. Check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or use device 'cpu'");
  return cuda_check(error, "counting devices", status);
}

int32_t cuda_open(int32_t index, void** handle, cfgd_status* status) {
  auto* device = new (std::nothrow) CudaDevice();
  if (!device) return cfgd_fail(status, CFGD_MEMORY, "", "out of memory for the state of a CUDA device");
  device->index = index;
  const int32_t code = prepare(*device, status);
  if (code != CFGD_OK) {
    cuda_close(device);
    return code;
  }
  *handle = device;
  return CFGD_OK;
}

void cuda_close(void* handle) {
  auto* device = static_cast<CudaDevice*>(handle);
  if (!device) return;
  cudaSetDevice(device->index);
  if (device->stream) cudaStreamSynchronize(device->stream);
  device->staging.free();
  delete device->cublaslt;
  for (cudaEvent_t event : device->timer)
    if (event) cudaEventDestroy(event);
  if (device->stream) cudaStreamDestroy(device->stream);
  if (device->fault) cudaFree(device->fault);
  if (device->fault_seen) cudaFreeHost(device->fault_seen);
  delete device;
}

void cuda_describe(void* handle, char* name, uint32_t bytes) {
  const cudaDeviceProp& p = static_cast<CudaDevice*>(handle)->properties;
  std::snprintf(name, bytes, "%s (compute capability %d.%d, %.1f GiB)", p.name, p.major, p.minor,
                static_cast<double>(p.totalGlobalMem) / (1 << 30));
}

}  // namespace cfgd
