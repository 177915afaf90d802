// The emulated CUDA runtime: devices whose memory is the host's, kept apart by their sizes and by checks. Everything that
// can be late on a device is late here: kernels run, and copies read and write, when their stream is synchronised.
#include "cuda/emulation/runtime.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace cfgd::emulation {
namespace {

constexpr size_t kMemory = size_t{1} << 30;
constexpr size_t kSharedDefault = 48 << 10;
// Little more than every device gives without asking, so that kernels with a fallback for long rows use it soon.
constexpr size_t kSharedOptIn = 56 << 10;
// Few, so that kernels take the paths for large problems soon.
constexpr int kMultiprocessors = 4;
constexpr int kDriverVersion = 13000, kOldDriverVersion = 12040, kRuntimeVersion = 13000;

/// CFGDISTILL_EMULATION_SHARED: what a block can have when it asks, in bytes, instead.
size_t shared_opt_in() {
  const char* bytes = std::getenv("CFGDISTILL_EMULATION_SHARED");
  return bytes && *bytes ? std::strtoull(bytes, nullptr, 10) : kSharedOptIn;
}

thread_local cudaError_t last_error = cudaSuccess;
thread_local int device = 0;

cudaError_t allocate(Runtime& r, int owner, void** memory, size_t bytes) {
  constexpr size_t kAlignment = 256;
  const size_t padded = std::max((bytes + kAlignment - 1) / kAlignment * kAlignment, kAlignment);
  if (padded < bytes) return noted(cudaErrorMemoryAllocation);
  if (owner >= 0 && (at_fault("no-memory") || padded > kMemory - r.devices[owner].allocated))
    return noted(cudaErrorMemoryAllocation);
  *memory = std::aligned_alloc(kAlignment, padded);
  if (!*memory) return noted(cudaErrorMemoryAllocation);
  // Device memory starts undefined; what is much larger than any test needs not be touched.
  std::memset(*memory, 0xA5, std::min(padded, size_t{32} << 20));
  r.allocations[*memory] = {owner, padded};
  if (owner >= 0) r.devices[owner].allocated += padded;
  return cudaSuccess;
}

cudaError_t release(void* memory) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (breaks_capture()) return noted(cudaErrorStreamCaptureUnsupported);
  if (!memory) return cudaSuccess;
  const auto found = r.allocations.find(memory);
  if (found == r.allocations.end()) return noted(cudaErrorInvalidValue);
  const auto [owner, bytes] = found->second;
  for (cudaStream_t stream : r.streams)
    if (owner < 0 || stream->device == owner) flush(r, stream);
  if (owner >= 0) r.devices[owner].allocated -= bytes;
  r.allocations.erase(found);
  std::free(memory);
  return cudaSuccess;
}

/// Copies between devices, and kernels on another device's memory, are no part of what is emulated.
bool foreign(Runtime& r, const void* memory, int to) {
  auto found = r.allocations.upper_bound(const_cast<void*>(memory));
  if (found == r.allocations.begin()) return false;
  --found;
  const bool inside = static_cast<const char*>(memory) < static_cast<char*>(found->first) + found->second.bytes;
  return inside && found->second.device >= 0 && found->second.device != to;
}

}  // namespace

Runtime& runtime() {
  static Runtime* made = new Runtime();
  return *made;
}

int device_count() {
  const char* text = std::getenv("CFGDISTILL_EMULATION_DEVICES");
  return text && *text ? std::clamp(std::atoi(text), 0, kMostDevices) : 1;
}

int current_device() { return device; }

cudaError_t noted(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

bool at_fault(const char* name) {
  const char* fault = std::getenv("CFGDISTILL_EMULATION_FAULT");
  return fault && std::strcmp(fault, name) == 0;
}

void trace(const char* word) {
  const char* path = std::getenv("CFGDISTILL_EMULATION_TRACE");
  if (!path || !*path) return;
  if (std::FILE* file = std::fopen(path, "a")) {
    std::fprintf(file, "%s\n", word);
    std::fclose(file);
  }
}

void enqueue(const void* kernel, const Shape& shape, cudaStream_t stream, std::function<void()> body) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  const auto limit = r.shared_limits.find(kernel);
  const uint64_t threads = uint64_t{shape.block.x} * shape.block.y * shape.block.z;
  const bool fits = threads >= 1 && threads <= kMaxThreads && shape.grid.x >= 1 && shape.grid.x <= 0x7fffffffu &&
                    shape.grid.y >= 1 && shape.grid.y <= 65535 && shape.grid.z >= 1 && shape.grid.z <= 65535 &&
                    shape.dynamic_shared <= (limit == r.shared_limits.end() ? kSharedDefault : limit->second);
  if (!fits) {
    noted(cudaErrorInvalidConfiguration);
    return;
  }
  noted(submit(r, stream, "kernel", [=] {
    if (at_fault("lost")) throw LaunchFailure("CFGDISTILL_EMULATION_FAULT is lost");
    run_grid(shape, order_of_environment(), body);
  }));
}

}  // namespace cfgd::emulation

using namespace cfgd::emulation;

cudaError_t cudaDriverGetVersion(int* version) {
  *version = at_fault("no-driver") ? 0 : at_fault("old-driver") ? kOldDriverVersion : kDriverVersion;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kRuntimeVersion;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  if (at_fault("crash")) std::abort();
  while (at_fault("hang")) std::this_thread::sleep_for(std::chrono::seconds(1));
  *count = 0;
  if (at_fault("no-driver") || at_fault("old-driver")) return noted(cudaErrorInsufficientDriver);
  if (at_fault("no-device") || device_count() == 0) return noted(cudaErrorNoDevice);
  *count = device_count();
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int index) {
  if (index < 0 || index >= device_count()) return noted(cudaErrorInvalidDevice);
  device = index;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* index) {
  *index = device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int index) {
  if (index < 0 || index >= device_count()) return noted(cudaErrorInvalidDevice);
  const bool old = at_fault("old-gpu");
  *properties = {"emulated CUDA device", kMemory, shared_opt_in(), old ? 7 : 8, old ? 5 : 0, kMultiprocessors};
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  *free = at_fault("no-memory") ? 0 : kMemory - r.devices[device].allocated;
  *total = kMemory;
  return noted(r.devices[device].lost);
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (breaks_capture()) return noted(cudaErrorStreamCaptureUnsupported);
  if (r.devices[device].lost != cudaSuccess) return noted(r.devices[device].lost);
  return allocate(r, device, memory, bytes);
}

cudaError_t cudaFree(void* memory) { return release(memory); }

cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (breaks_capture()) return noted(cudaErrorStreamCaptureUnsupported);
  return allocate(r, -1, memory, bytes);
}

cudaError_t cudaFreeHost(void* memory) { return release(memory); }

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (foreign(r, to, stream->device) || foreign(r, from, stream->device)) return noted(cudaErrorInvalidValue);
  return noted(submit(r, stream, "copy", [=] { std::memmove(to, from, bytes); }));
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (foreign(r, to, stream->device)) return noted(cudaErrorInvalidValue);
  return noted(submit(r, stream, "copy", [=] { std::memset(to, value, bytes); }));
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (value < 0 || static_cast<size_t>(value) > shared_opt_in()) return noted(cudaErrorInvalidValue);
  r.shared_limits[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

const char* cudaGetErrorName(cudaError_t error) {
#define CFGD_NAME(name) \
  case name: return #name;
  switch (error) {
    CFGD_NAME(cudaSuccess)
    CFGD_NAME(cudaErrorInvalidValue)
    CFGD_NAME(cudaErrorMemoryAllocation)
    CFGD_NAME(cudaErrorInvalidConfiguration)
    CFGD_NAME(cudaErrorInsufficientDriver)
    CFGD_NAME(cudaErrorNoDevice)
    CFGD_NAME(cudaErrorInvalidDevice)
    CFGD_NAME(cudaErrorInvalidResourceHandle)
    CFGD_NAME(cudaErrorLaunchFailure)
    CFGD_NAME(cudaErrorNotSupported)
    CFGD_NAME(cudaErrorStreamCaptureUnsupported)
    CFGD_NAME(cudaErrorStreamCaptureInvalidated)
    default: return "unknown";
  }
#undef CFGD_NAME
}

const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorLaunchFailure ? runtime().why : cudaGetErrorName(error);
}
