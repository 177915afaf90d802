// A CUDA device as the backend knows it. Host code.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

#include "cuda/cublaslt.h"
#include "cuda/fault.h"
#include "cuda/staging.h"
#include "tensor/backend.h"

namespace cfgd {

struct CudaDevice {
  int index = 0;
  cudaStream_t stream = nullptr;
  cudaDeviceProp properties = {};
  Staging staging;

  FaultRecord* fault = nullptr;       // on the device
  FaultRecord* fault_seen = nullptr;  // its copy in page-locked host memory
  uint64_t launches = 0;              // operations launched so far, those in graphs too

  uint64_t captured = 0;  // operations in the graph being recorded
  bool capturing = false;
  std::vector<uint64_t> replays;  // since the host last saw the record: the numbers of their first operations
  uint64_t replays_seen = 0;      // FaultRecord::replays then

  bool tf32 = false;
  CublasLt* cublaslt = nullptr;  // null where the library is not loaded
  cudaEvent_t timer[2] = {};  // start, stop
  bool timing = false;
};

/// Makes the device current on this thread.
int32_t select(CudaDevice& device, cfgd_status* status);

// open.cpp
int32_t cuda_device_count(int32_t* count, cfgd_status* status);
int32_t cuda_open(int32_t index, void** handle, cfgd_status* status);
void cuda_close(void* handle);
void cuda_describe(void* handle, char* name, uint32_t bytes);

// memory.cpp
void* cuda_allocate(void* handle, uint64_t bytes, cfgd_status* status);
void cuda_release(void* handle, void* memory);
int32_t cuda_copy(void* handle, void* to, const void* from, uint64_t bytes, int32_t direction, cfgd_status* status);

// settle.cpp
/// Puts "no fault" into the device's record.
int32_t clear_fault(CudaDevice& device, cfgd_status* status);
/// Waits for the stream, then reports the fault that a kernel has raised since the last report.
int32_t settle(CudaDevice& device, cfgd_status* status);

// graph.cu
/// Makes the device ready for graphs. Leaves a mark in the fault record.
void cuda_load_graphs(CudaDevice& device);
int32_t cuda_begin_graph(void* handle, cfgd_status* status);
int32_t cuda_end_graph(void* handle, void** graph, cfgd_status* status);
int32_t cuda_launch_graph(void* handle, void* graph, cfgd_status* status);
void cuda_destroy_graph(void* handle, void* graph);

// report.cpp
void cuda_report(char* json, uint32_t bytes);

}  // namespace cfgd
