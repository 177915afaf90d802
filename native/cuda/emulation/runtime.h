// The state of the emulated CUDA runtime, shared by its sources.
//
//   CFGDISTILL_EMULATION_DEVICES  how many devices there are (default 1)
//   CFGDISTILL_EMULATION_ORDER    the order of a block's threads, see block.h
//   CFGDISTILL_EMULATION_FAULT    what is wrong with the machine: no-driver, old-driver, no-device, old-gpu, no-memory
//                                 (at every allocation), no-graphs, no-capture (nothing can be recorded into a graph),
//                                 lost (the next kernel fails), crash or hang (when devices are counted)
//   CFGDISTILL_EMULATION_TRACE    a file to which a word is appended for whatever is put into a stream (kernel, copy,
//                                 graph) and for every wait (wait)
#pragma once
#include <cuda_runtime.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

using EmulatedWork = std::function<void()>;

struct cfgd_emulated_event {
  int device = 0;
  bool timed = true;
  uint64_t recorded = 0, done = 0;  // how many times
  cudaStream_t stream = nullptr;    // that it was last recorded in
  std::chrono::steady_clock::time_point time;
};

struct cfgd_emulated_graph {
  std::vector<EmulatedWork> work;
};

struct cfgd_emulated_executable {
  int device = 0;
  std::shared_ptr<const std::vector<EmulatedWork>> work;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

struct cfgd_emulated_stream {
  int device = 0;
  std::deque<EmulatedWork> work;
  std::unique_ptr<cfgd_emulated_graph> capture;  // while something is captured
  cudaError_t capture_error = cudaSuccess;
};

namespace cfgd::emulation {

constexpr int kMostDevices = 8;

struct EmulatedDevice {
  size_t allocated = 0;
  cudaError_t lost = cudaSuccess;  // a failed kernel takes the context with it
};

struct Runtime {
  std::mutex mutex;  // also held while a grid runs: there is room for one
  EmulatedDevice devices[kMostDevices];
  std::set<cudaStream_t> streams;
  struct Allocation {
    int device;  // −1: page-locked memory of the host
    size_t bytes;
  };
  std::map<void*, Allocation> allocations;
  std::map<const void*, size_t> shared_limits;  // by kernel
  char why[256] = "";  // a kernel failed
};

Runtime& runtime();
int device_count();
/// Of the calling thread.
int current_device();
/// Notes the last error of the calling thread, and returns it.
cudaError_t noted(cudaError_t error);
/// Whether CFGDISTILL_EMULATION_FAULT is this one.
bool at_fault(const char* name);
void trace(const char* word);
/// What capturing does not allow: ends the capture of the calling thread, if there is one, with an error.
bool breaks_capture();
/// Puts work into a stream or into what it captures.
cudaError_t submit(Runtime& runtime, cudaStream_t stream, const char* word, EmulatedWork work);
/// Runs what waits in the stream, up to where the event was last recorded when there is one.
cudaError_t flush(Runtime& runtime, cudaStream_t stream, const cfgd_emulated_event* until = nullptr);

}  // namespace cfgd::emulation
