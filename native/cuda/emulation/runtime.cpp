// The emulated CUDA runtime: one device whose memory is the host's. Everything that can be late on a device is late
// here: kernels run, and copies read and write, when their stream is synchronised.
#include <cuda_runtime.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <vector>

struct cfgd_emulated_stream {
  std::vector<std::function<void()>> work;
};

namespace {

constexpr size_t kMemory = size_t{1} << 30;
constexpr size_t kSharedDefault = 48 << 10;
// Little more than every device gives without asking, so that kernels with a fallback for long rows use it soon.
constexpr size_t kSharedOptIn = 56 << 10;
// Few, so that kernels take the paths for large problems soon.
constexpr int kMultiprocessors = 4;

struct Runtime {
  std::mutex mutex;  // also held while a grid runs: there is room for one
  std::set<cudaStream_t> streams;
  std::map<void*, size_t> allocations;
  std::map<const void*, size_t> shared_limits;  // by kernel
  size_t allocated = 0;
  cudaError_t lost = cudaSuccess;  // a failed kernel takes the context with it
  const char* why = "";
};

Runtime& runtime() {
  static Runtime* made = new Runtime();
  return *made;
}

thread_local cudaError_t last_error = cudaSuccess;

cudaError_t noted(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t flush(Runtime& r, cudaStream_t stream) {
  std::vector<std::function<void()>> work;
  work.swap(stream->work);
  for (auto& item : work) {
    if (r.lost != cudaSuccess) break;
    try {
      item();
    } catch (const cfgd::emulation::LaunchFailure& failure) {
      static char text[256];
      std::snprintf(text, sizeof text, "unspecified launch failure: %s", failure.what());
      r.why = text;
      r.lost = cudaErrorLaunchFailure;
    }
  }
  return noted(r.lost);
}

void release(Runtime& r, void* memory) {
  for (cudaStream_t stream : r.streams) flush(r, stream);
  const auto found = r.allocations.find(memory);
  if (found == r.allocations.end()) return;
  r.allocated -= found->second;
  r.allocations.erase(found);
  std::free(memory);
}

cudaError_t allocate(Runtime& r, void** memory, size_t bytes) {
  constexpr size_t kAlignment = 256;
  const size_t padded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (padded < bytes || padded > kMemory - r.allocated) return noted(cudaErrorMemoryAllocation);
  *memory = std::aligned_alloc(kAlignment, padded ? padded : kAlignment);
  if (!*memory) return noted(cudaErrorMemoryAllocation);
  std::memset(*memory, 0xA5, padded);  // device memory starts undefined
  r.allocations[*memory] = padded;
  r.allocated += padded;
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) { return noted(device == 0 ? cudaSuccess : cudaErrorInvalidDevice); }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return noted(cudaErrorInvalidDevice);
  *properties = {"emulated CUDA device", kMemory, kSharedOptIn, 8, 0, kMultiprocessors};
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  *stream = new cfgd_emulated_stream();
  r.streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  const cudaError_t error = flush(r, stream);
  r.streams.erase(stream);
  delete stream;
  return error;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  return flush(r, stream);
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  return allocate(r, memory, bytes);
}

cudaError_t cudaFree(void* memory) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  release(r, memory);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** memory, size_t bytes) { return cudaMalloc(memory, bytes); }
cudaError_t cudaFreeHost(void* memory) { return cudaFree(memory); }

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (r.lost != cudaSuccess) return noted(r.lost);
  stream->work.push_back([=] { std::memmove(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  Runtime& r = runtime();
  std::lock_guard lock(r.mutex);
  if (value < 0 || static_cast<size_t>(value) > kSharedOptIn) return noted(cudaErrorInvalidValue);
  r.shared_limits[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
  }
  return "unknown";
}

const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorLaunchFailure ? runtime().why : cudaGetErrorName(error);
}

namespace cfgd::emulation {

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
  stream->work.push_back([=] { run_grid(shape, order_of_environment(), body); });
}

}  // namespace cfgd::emulation
