// Errors of the CUDA runtime in words: what failed, why, and what to do.
#include "cuda/device_state.h"
#include "cuda/kernel.h"

namespace cfgd {
namespace {

/// Whether nothing can run on the device any more in this process.
bool loses_device(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable: return true;
    default: return false;
  }
}

const char* remedy(cudaError_t error) {
  if (error == cudaErrorMemoryAllocation)
    return ". The memory is taken: stop other programs on this GPU (`nvidia-smi` lists them), or use smaller batches";
  if (error == cudaErrorECCUncorrectable)
    return ". The GPU's memory is damaged or needs a reset, and is lost to this process: see `nvidia-smi -q -d ECC`, then "
           "start the program again";
  if (loses_device(error))
    return ". The GPU is lost to this process: start the program again, and if it comes again run it "
           "under `compute-sanitizer` and report what that says";
  if (error == cudaErrorNoKernelImageForDevice)
    return ". The backend was not built for this GPU: run `npm run build:cuda` on this machine";
  if (error == cudaErrorSystemDriverMismatch)
    return ". The loaded kernel module and the driver library are of different versions, as after an update: restart the "
           "machine";
  return "";
}

}  // namespace

int32_t cuda_check(cudaError_t error, const char* doing, cfgd_status* status) {
  if (error == cudaSuccess) return CFGD_OK;
  cudaGetLastError();  // an error that was reported here must not come up again elsewhere
  return cfgd_fail(status, error == cudaErrorMemoryAllocation ? CFGD_MEMORY : CFGD_DEVICE, "", "CUDA, %s: %s (%s)%s",
                   doing, cudaGetErrorString(error), cudaGetErrorName(error), remedy(error));
}

int32_t select(CudaDevice& device, cfgd_status* status) {
  return cuda_check(cudaSetDevice(device.index), "selecting the device", status);
}

}  // namespace cfgd
