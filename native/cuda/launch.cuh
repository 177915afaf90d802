// The two places where CUDA's syntax is not C++, so that kernels also compile for the emulated device.
#pragma once
#include <cuda_runtime.h>

#if defined(CFGD_CUDA_EMULATION)
#define CFGD_LAUNCH(kernel, grid, block, shared, stream, ...) \
  ::cfgd::emulation::launch(kernel, grid, block, shared, stream, __VA_ARGS__)
#define CFGD_DYNAMIC_SHARED(T, name) T* const name = static_cast<T*>(::cfgd::emulation::dynamic_shared())
#else
#define CFGD_LAUNCH(kernel, grid, block, shared, stream, ...) kernel<<<grid, block, shared, stream>>>(__VA_ARGS__)
#define CFGD_DYNAMIC_SHARED(T, name)                                \
  extern __shared__ __align__(16) unsigned char cfgd_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(cfgd_dynamic_shared)
#endif
