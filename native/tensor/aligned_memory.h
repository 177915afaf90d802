// Memory at a multiple of 64 bytes, which systems give in different ways.
#pragma once
#include <cstdint>
#include <cstdlib>
#if defined(_WIN32)
#include <malloc.h>
#endif

namespace cfgd {

// `static`: also included from per-ISA files, where inline functions with external linkage must not be (cpu/kernel.h).

/// At least `bytes`, their content undefined; null when there is none. Given back by release_aligned.
[[nodiscard]] static inline void* allocate_aligned(uint64_t bytes) {
#if defined(CFGD_SANITIZED)  // not a byte more
  void* memory = nullptr;
  return posix_memalign(&memory, 64, bytes) == 0 ? memory : nullptr;
#elif defined(_WIN32)
  return _aligned_malloc((bytes + 63) / 64 * 64, 64);
#else
  return std::aligned_alloc(64, (bytes + 63) / 64 * 64);
#endif
}

static inline void release_aligned(void* memory) {
#if defined(_WIN32)
  _aligned_free(memory);
#else
  std::free(memory);
#endif
}

}  // namespace cfgd
