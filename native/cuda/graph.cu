// Recorded operations as one launch: CUDA graphs, made by capturing the stream.
#include <new>

#include "cuda/device_state.h"
#include "cuda/kernel.h"
#include "cuda/launch.cuh"

namespace cfgd {
namespace {

struct Graph {
  cudaGraphExec_t executable = nullptr;
  uint64_t operations = 0;
};

/// The first node of every graph (fault.h). One thread.
__global__ void begin_replay(FaultRecord* record) {
  if (record->launch == 0)
    record->replays++;
  else
    record->launch |= kTagEarlier;
}

}  // namespace

// A kernel is loaded at its first launch, which must not happen while something is recorded.
void cuda_load_graphs(CudaDevice& device) {
  CFGD_LAUNCH(begin_replay, dim3(1), dim3(1), 0, device.stream, device.fault);
}

int32_t cuda_begin_graph(void* handle, cfgd_status* status) {
  auto* device = static_cast<CudaDevice*>(handle);
  if (int32_t code = select(*device, status)) return code;
  // Allocations of other threads go on meanwhile.
  if (int32_t code = cuda_check(cudaStreamBeginCapture(device->stream, cudaStreamCaptureModeThreadLocal),
                                "recording a graph", status))
    return code;
  device->capturing = true;
  device->captured = 0;
  CFGD_LAUNCH(begin_replay, dim3(1), dim3(1), 0, device->stream, device->fault);
  return CFGD_OK;
}

int32_t cuda_end_graph(void* handle, void** graph, cfgd_status* status) {
  auto* device = static_cast<CudaDevice*>(handle);
  if (int32_t code = select(*device, status)) return code;
  device->capturing = false;
  cudaGraph_t captured = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(device->stream, &captured);
  if (!graph || ended != cudaSuccess) {
    if (captured) cudaGraphDestroy(captured);
    cudaGetLastError();
    return graph ? cuda_check(ended, "recording a graph", status) : CFGD_OK;
  }
  auto* made = new (std::nothrow) Graph();
  if (!made) {
    cudaGraphDestroy(captured);
    return cfgd_fail(status, CFGD_MEMORY, "", "out of memory for a graph");
  }
  const cudaError_t error = cudaGraphInstantiateWithFlags(&made->executable, captured, 0);
  cudaGraphDestroy(captured);
  if (error != cudaSuccess) {
    delete made;
    return cuda_check(error, "making a graph", status);
  }
  made->operations = device->captured;
  *graph = made;
  return CFGD_OK;
}

int32_t cuda_launch_graph(void* handle, void* graph, cfgd_status* status) {
  auto* device = static_cast<CudaDevice*>(handle);
  const auto* launched = static_cast<const Graph*>(graph);
  if (int32_t code = select(*device, status)) return code;
  try {
    device->replays.push_back(device->launches + 1);
  } catch (const std::bad_alloc&) {
    return cfgd_fail(status, CFGD_MEMORY, "", "out of memory for the list of replays");
  }
  if (int32_t code = cuda_check(cudaGraphLaunch(launched->executable, device->stream), "launching a graph", status)) {
    device->replays.pop_back();
    return code;
  }
  status->launch = device->launches + 1;
  device->launches += launched->operations;
  return CFGD_OK;
}

void cuda_destroy_graph(void* handle, void* graph) {
  auto* device = static_cast<CudaDevice*>(handle);
  auto* destroyed = static_cast<Graph*>(graph);
  cudaSetDevice(device->index);
  cudaStreamSynchronize(device->stream);  // replays may be on their way
  cudaGraphExecDestroy(destroyed->executable);
  cudaGetLastError();
  delete destroyed;
}

}  // namespace cfgd
