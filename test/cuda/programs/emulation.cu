// Kernels with and without faults, run by name on the emulated device: `emulation <kernel>` prints the result or what
// went wrong. The orders of the threads come from CFGDISTILL_EMULATION_ORDER.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>

#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"

namespace {

constexpr int kThreads = 96;

/// Every thread takes its neighbour's number from shared memory.
template <bool kBarrier>
__global__ void neighbours(int* out) {
  CFGD_DYNAMIC_SHARED(int, numbers);
  numbers[threadIdx.x] = static_cast<int>(threadIdx.x * threadIdx.x);
  if (kBarrier) __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = numbers[(threadIdx.x + 1) % blockDim.x] & 0xffff;
}

__global__ void half_at_a_barrier(int* out) {
  if (threadIdx.x % 2) __syncthreads();
  __syncwarp();
  out[threadIdx.x] = 1;
}

__global__ void two_barriers(int* out) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
  out[threadIdx.x] = 1;
}

__global__ void half_a_warp(int* out) {
  if (threadIdx.x % 2) __syncwarp();
  __syncthreads();
  out[threadIdx.x] = 1;
}

// As on a device, threads that have returned are not waited for.
__global__ void early_return(int* out) {
  out[threadIdx.x] = 1;
  if (threadIdx.x >= 32) return;
  __syncthreads();
  out[threadIdx.x] = 2;
}

__global__ void reductions(int* out) {
  int phase = 0;
  unsigned long long sum[2] = {threadIdx.x, 1}, maximum[1] = {threadIdx.x * 7ull % kThreads};
  for (int i = 0; i < 3; i++) {
    unsigned long long values[2] = {sum[0], sum[1]};
    cfgd::reduce_block<cfgd::Sum, kThreads>(values, phase);
    out[threadIdx.x] = static_cast<int>(values[0] + values[1]);
  }
  cfgd::reduce_block<cfgd::Maximum, kThreads>(maximum, phase);
  out[threadIdx.x] += static_cast<int>(maximum[0]) * 10000;
}

unsigned checksum(const int* values, int count) {
  unsigned hash = 2166136261u;
  for (int i = 0; i < count; i++) hash = (hash ^ static_cast<unsigned>(values[i])) * 16777619u;
  return hash;
}

}  // namespace

int main(int argc, char** argv) {
  const char* name = argc > 1 ? argv[1] : "";
  const auto is = [&](const char* other) { return std::strcmp(name, other) == 0; };
  constexpr int kBlocks = 3;
  int host[kThreads * kBlocks] = {};
  void* memory = nullptr;
  cudaStream_t stream;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cudaMalloc(&memory, sizeof host);
  int* out = static_cast<int*>(memory);
  cudaMemcpyAsync(out, host, sizeof host, cudaMemcpyHostToDevice, stream);
  const dim3 one(1), block(kThreads);
  const size_t bytes = kThreads * sizeof(int);
  if (is("barrier")) CFGD_LAUNCH(neighbours<true>, dim3(kBlocks), block, bytes, stream, out);
  if (is("missing_barrier")) CFGD_LAUNCH(neighbours<false>, dim3(kBlocks), block, bytes, stream, out);
  if (is("half_at_a_barrier")) CFGD_LAUNCH(half_at_a_barrier, one, block, 0, stream, out);
  if (is("two_barriers")) CFGD_LAUNCH(two_barriers, one, block, 0, stream, out);
  if (is("half_a_warp")) CFGD_LAUNCH(half_a_warp, one, block, 0, stream, out);
  if (is("early_return")) CFGD_LAUNCH(early_return, one, block, 0, stream, out);
  if (is("reductions")) CFGD_LAUNCH(reductions, one, block, 0, stream, out);
  if (is("too_many_threads")) CFGD_LAUNCH(early_return, one, dim3(1025), 0, stream, out);
  if (is("too_much_shared")) CFGD_LAUNCH(early_return, one, block, size_t{49153}, stream, out);
  if (is("late")) {
    // Nothing has run before the stream is waited for.
    CFGD_LAUNCH(early_return, one, block, 0, stream, out);
    std::printf("%d ", out[0] == 2);
  }
  cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) cudaMemcpyAsync(host, out, sizeof host, cudaMemcpyDeviceToHost, stream);
  if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
  if (error != cudaSuccess)
    std::printf("%s: %s\n", cudaGetErrorName(error), cudaGetErrorString(error));
  else
    std::printf("%d %d %08x\n", host[0], host[kThreads - 1], checksum(host, kThreads * kBlocks));
  return 0;
}
