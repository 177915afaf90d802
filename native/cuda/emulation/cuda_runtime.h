// Stands in for the CUDA toolkit's header of this name when the CUDA backend is compiled by a C++ compiler, so that
// the same sources run on a CPU: the part of the language and of the runtime that they use.
//
// Launches and copies wait in their stream until something synchronises, as on a device. What is emulated is steered by
// the environment, see runtime.h.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "cuda/emulation/block.h"

// --- Language ---

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __restrict__
#define __align__(bytes) alignas(bytes)
#define __grid_constant__
#define __launch_bounds__(...)
#define __shared__ static  // one block at a time runs

#define threadIdx (::cfgd::emulation::thread_index())
#define blockIdx (::cfgd::emulation::block_index())
#define blockDim (::cfgd::emulation::block_shape())
#define gridDim (::cfgd::emulation::grid_shape())

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) int4 {
  int x, y, z, w;
};

inline void __syncthreads(const std::source_location place = std::source_location::current()) {
  ::cfgd::emulation::block_barrier(place);
}
inline void __syncwarp(unsigned mask = ~0u) { ::cfgd::emulation::warp_barrier(mask); }

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int by) {
  return ::cfgd::emulation::shuffle(
      mask, value, [](unsigned lane, int distance) { return (lane ^ static_cast<unsigned>(distance)) & 31u; }, by);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int from) {
  return ::cfgd::emulation::shuffle(
      mask, value, [](unsigned, int lane) { return static_cast<unsigned>(lane) & 31u; }, from);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, int by) {
  return ::cfgd::emulation::shuffle(
      mask, value,
      [](unsigned lane, int distance) { return lane < static_cast<unsigned>(distance) ? lane : lane - distance; }, by);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, int by) {
  return ::cfgd::emulation::shuffle(
      mask, value,
      [](unsigned lane, int distance) { return lane + distance > 31u ? lane : lane + distance; }, by);
}
inline unsigned __ballot_sync(unsigned mask, bool predicate) {
  const ::cfgd::emulation::WarpExchange exchange = ::cfgd::emulation::warp_exchange();
  *exchange.mine = predicate;
  ::cfgd::emulation::warp_barrier(mask);
  unsigned votes = 0;
  for (unsigned lane = 0; lane < 32; lane++) votes |= (exchange.all[lane] & 1u) << lane;
  return votes;
}
/// The lanes whose value is that of this lane.
inline unsigned __match_any_sync(unsigned mask, unsigned value) {
  const ::cfgd::emulation::WarpExchange exchange = ::cfgd::emulation::warp_exchange();
  *exchange.mine = value;
  ::cfgd::emulation::warp_barrier(mask);
  unsigned same = 0;
  for (unsigned lane = 0; lane < 32; lane++) same |= static_cast<unsigned>(exchange.all[lane] == value) << lane;
  return same;
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline bool __any_sync(unsigned mask, bool predicate) { return __ballot_sync(mask, predicate) != 0; }
inline bool __all_sync(unsigned mask, bool predicate) { return __ballot_sync(mask, predicate) == mask; }
template <class T>
T __ldg(const T* address) {
  return *address;
}
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __logf(float x) { return std::log(x); }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline void __threadfence() {}
inline void sincospif(float x, float* sine, float* cosine) {
  const double angle = 3.14159265358979323846 * static_cast<double>(x);
  *sine = static_cast<float>(std::sin(angle));
  *cosine = static_cast<float>(std::cos(angle));
}

// Threads of a block take turns, so plain reads and writes are atomic.
template <class T>
T atomicCAS(T* address, T expected, T desired) {
  const T old = *address;
  if (old == expected) *address = desired;
  return old;
}
template <class T>
T atomicMin(T* address, T value) {
  const T old = *address;
  if (value < old) *address = value;
  return old;
}

template <class T>
T atomicAdd(T* address, T value) {
  const T old = *address;
  *address = old + value;
  return old;
}
inline int __ffs(unsigned bits) { return __builtin_ffs(static_cast<int>(bits)); }

// --- Runtime ---

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorECCUncorrectable = 214,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchTimeout = 702,
  cudaErrorAssert = 710,
  cudaErrorHardwareStackError = 714,
  cudaErrorIllegalInstruction = 715,
  cudaErrorMisalignedAddress = 716,
  cudaErrorInvalidAddressSpace = 717,
  cudaErrorInvalidPc = 718,
  cudaErrorLaunchFailure = 719,
  cudaErrorNotSupported = 801,
  cudaErrorSystemDriverMismatch = 803,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal = 0,
  cudaStreamCaptureModeThreadLocal = 1,
  cudaStreamCaptureModeRelaxed = 2
};
constexpr unsigned cudaStreamNonBlocking = 1;
constexpr unsigned cudaEventDefault = 0, cudaEventDisableTiming = 2;

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  size_t sharedMemPerBlockOptin;
  int major, minor;
  int multiProcessorCount;
};

typedef struct cfgd_emulated_stream* cudaStream_t;
typedef struct cfgd_emulated_event* cudaEvent_t;
typedef struct cfgd_emulated_graph* cudaGraph_t;
typedef struct cfgd_emulated_executable* cudaGraphExec_t;

cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMallocHost(void** memory, size_t bytes);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t stop);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);
cudaError_t cudaGetLastError();
const char* cudaGetErrorName(cudaError_t error);
const char* cudaGetErrorString(cudaError_t error);

namespace cfgd::emulation {

/// Puts a grid into the stream, or sets the last error when its shape is beyond what a device takes.
void enqueue(const void* kernel, const Shape& shape, cudaStream_t stream, std::function<void()> body);

template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t dynamic_shared, cudaStream_t stream, A... arguments) {
  enqueue(reinterpret_cast<const void*>(kernel), {grid, block, dynamic_shared}, stream,
          [=] { kernel(arguments...); });
}

}  // namespace cfgd::emulation
