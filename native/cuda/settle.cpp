// What the host learns from the fault record of a device (fault.h).
#include "cuda/device_state.h"
#include "cuda/kernel.h"
#include "cuda/table.h"

namespace cfgd {

int32_t clear_fault(CudaDevice& device, cfgd_status* status) {
  *device.fault_seen = kNoFault;
  if (int32_t code = cuda_check(cudaMemcpyAsync(device.fault, device.fault_seen, sizeof(FaultRecord),
                                                cudaMemcpyHostToDevice, device.stream),
                                "clearing the fault record", status))
    return code;
  device.replays_seen = 0;
  return cuda_check(cudaStreamSynchronize(device.stream), "clearing the fault record", status);
}

int32_t settle(CudaDevice& device, cfgd_status* status) {
  if (int32_t code = cuda_check(cudaMemcpyAsync(device.fault_seen, device.fault, sizeof(FaultRecord),
                                                cudaMemcpyDeviceToHost, device.stream),
                                "reading the fault record", status))
    return code;
  if (int32_t code = cuda_check(cudaStreamSynchronize(device.stream), "waiting for the device", status)) return code;
  const FaultRecord fault = *device.fault_seen;
  uint64_t number = number_of_tag(fault.launch);
  if (fault.launch & kTagInGraph) {
    const uint64_t replay = fault.replays - device.replays_seen - 1;
    if (replay >= device.replays.size())
      return cfgd_fail(status, CFGD_DEVICE, "", "the fault record of the device is damaged");
    number += device.replays[replay] - 1;
  }
  device.replays.clear();
  device.replays_seen = fault.replays;
  if (fault.launch == 0) return CFGD_OK;
  if (int32_t code = clear_fault(device, status)) return code;
  status->launch = number;
  return cuda_table().find(Variant::of_code(op_of_tag(fault.launch)))->explain(unpacked(fault), status);
}

}  // namespace cfgd
