// Copies from device to shared memory that run beside the computation (cp.async). Device code.
//
// A thread starts copies, closes a group with commit_copies(), and waits with wait_copies<kNewest>() until all but its
// kNewest latest groups have arrived; a barrier then shows them to the other threads. On the emulated device nothing
// arrives before it is waited for.
#pragma once
#include <cuda_runtime.h>

namespace cfgd {

/// 16 bytes, both addresses aligned to them; zeros, `from` not being read, unless `valid`.
__device__ inline void start_copy16(void* shared, const void* from, bool valid = true) {
#if defined(__CUDACC__)
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                   static_cast<uint32_t>(__cvta_generic_to_shared(shared))),
               "l"(from), "r"(valid ? 16 : 0)
               : "memory");
#else
  emulation::start_copy(shared, valid ? from : nullptr, 16);
#endif
}

__device__ inline void commit_copies() {
#if defined(__CUDACC__)
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  emulation::commit_copies();
#endif
}

template <int kNewest>
__device__ void wait_copies() {
#if defined(__CUDACC__)
  asm volatile("cp.async.wait_group %0;" ::"n"(kNewest) : "memory");
#else
  emulation::wait_copies(kNewest);
#endif
}

}  // namespace cfgd
