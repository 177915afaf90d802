// A warp's access to the tensor cores: bfloat16 operands, float32 sums. Device code; all lanes of a warp take part.
//
// Fragments of c [16, 8] += a [16, 16] · b [16, 8], with g = lane / 4 and t = lane % 4 (PTX ISA, "Matrix fragments for
// mma.m16n8k16"; a register holds two elements, the lower half the one named first):
//
//   a[0]: (g, 2t), (g, 2t + 1)    a[1]: row g + 8    a[2]: columns + 8    a[3]: row g + 8, columns + 8
//   b[0]: (2t, g), (2t + 1, g)    b[1]: rows + 8
//   c[0], c[1]: (g, 2t), (g, 2t + 1)    c[2], c[3]: row g + 8
//
// The emulated device computes the same from the same registers; it adds up in the order of k.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "tensor/element.h"

namespace cfgd {

/// Two bfloat16 in a register; `low` is the element that comes first in memory.
__device__ inline uint32_t packed_bf16(float low, float high) {
#if defined(__CUDACC__)
  uint32_t result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
#else
  return narrowed<bf16>(low).bits | static_cast<uint32_t>(narrowed<bf16>(high).bits) << 16;
#endif
}

#if !defined(__CUDACC__)
namespace emulation {

inline float half_of(uint32_t pair, unsigned which) { return widened(bf16{static_cast<uint16_t>(pair >> 16 * which)}); }

/// A pair of registers of every lane, given this lane's.
inline void exchange(uint32_t first, uint32_t second, uint32_t (&firsts)[32], uint32_t (&seconds)[32]) {
  const WarpExchange warp = warp_exchange();
  *warp.mine = first | static_cast<uint64_t>(second) << 32;
  warp_barrier(~0u);
  for (unsigned lane = 0; lane < 32; lane++) {
    firsts[lane] = static_cast<uint32_t>(warp.all[lane]);
    seconds[lane] = static_cast<uint32_t>(warp.all[lane] >> 32);
  }
}

}  // namespace emulation
#endif

/// c += a · b.
__device__ inline void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if defined(__CUDACC__)
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  uint32_t lefts[4][32], rights[2][32];
  emulation::exchange(a[0], a[1], lefts[0], lefts[1]);
  emulation::exchange(a[2], a[3], lefts[2], lefts[3]);
  emulation::exchange(b[0], b[1], rights[0], rights[1]);
  const unsigned lane = threadIdx.x % 32;
  for (unsigned i = 0; i < 4; i++) {
    const unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    for (unsigned k = 0; k < 16; k++) {
      const uint32_t left = lefts[row / 8 + k / 8 * 2][row % 8 * 4 + k % 8 / 2];
      const uint32_t right = rights[k / 8][column * 4 + k % 8 / 2];
      c[i] = fmaf(emulation::half_of(left, k % 2), emulation::half_of(right, k % 2), c[i]);
    }
  }
#endif
}

/// Four 8 × 8 matrices of 16-bit elements from shared memory: lane l gives the address, aligned to 16 bytes, of row
/// l % 8 of matrix l / 8 and gets, of each matrix, the elements (g, 2t) and (g, 2t + 1).
__device__ inline void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
#if defined(__CUDACC__)
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
#else
  const emulation::WarpExchange warp = emulation::warp_exchange();
  *warp.mine = reinterpret_cast<uintptr_t>(row);
  emulation::warp_barrier(~0u);
  for (unsigned i = 0; i < 4; i++)
    r[i] = reinterpret_cast<const uint32_t*>(warp.all[8 * i + warp.lane / 4])[warp.lane % 4];
#endif
}

/// The same, transposed: the elements (2t, g) and (2t + 1, g).
__device__ inline void ldmatrix_x4_transposed(uint32_t (&r)[4], const void* row) {
#if defined(__CUDACC__)
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
#else
  const emulation::WarpExchange warp = emulation::warp_exchange();
  *warp.mine = reinterpret_cast<uintptr_t>(row);
  emulation::warp_barrier(~0u);
  for (unsigned i = 0; i < 4; i++) {
    const unsigned first = 8 * i + warp.lane % 4 * 2, column = warp.lane / 4;
    r[i] = reinterpret_cast<const uint16_t*>(warp.all[first])[column] |
           static_cast<uint32_t>(reinterpret_cast<const uint16_t*>(warp.all[first + 1])[column]) << 16;
  }
#endif
}

}  // namespace cfgd
