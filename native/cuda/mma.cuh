// Products of small matrices on tensor cores, and what feeds them: bfloat16 in, float32 sums. Device code; compute
// capability 8.0. On the emulated device the same functions are computed by exchanges within the warp, by the layouts
// that the PTX manual documents, so that kernels built on them are tested there.
//
// All lanes of a warp take part. With group = lane / 4 and pair = 2 · (lane % 4), a lane holds of
//   A [16, 16]: a[0] row group, columns pair and pair + 1; a[1] row group + 8; a[2] and a[3] the same, columns + 8
//   B [16, 8]:  b[0] rows pair and pair + 1 of column group; b[1] rows + 8
//   D [16, 8]:  d[0], d[1] row group, columns pair and pair + 1; d[2], d[3] row group + 8
// Of two elements in a word, the first is in the lower half.
#pragma once
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#include "tensor/element.h"

#if defined(CFGD_CUDA_EMULATION)
#include <vector>
#endif

namespace cfgd {

__device__ inline int lane_of_warp() { return static_cast<int>(threadIdx.x) % 32; }

#if defined(CFGD_CUDA_EMULATION)

/// Two elements as one word, rounded.
inline uint32_t pack_halves(float first, float second) {
  return narrowed<bf16>(first).bits | static_cast<uint32_t>(narrowed<bf16>(second).bits) << 16;
}

/// 2^x to about 2^−22.
inline float fast_exp2(float x) { return std::exp2(x); }

/// What the lanes of a warp have put up, by lane; valid until they do so again.
template <class V>
struct Published {
  const uint64_t* slots;
  const V* operator[](int lane) const { return reinterpret_cast<const V*>(slots[lane]); }
};
template <class V>
Published<V> publish(const V* mine) {
  const emulation::WarpExchange exchange = emulation::warp_exchange();
  *exchange.mine = reinterpret_cast<uint64_t>(mine);
  __syncwarp();
  return {exchange.all};
}

/// d += A · B
inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  struct Operands {
    uint32_t a[4], b[2];
  };
  const Operands mine = {{a[0], a[1], a[2], a[3]}, {b0, b1}};
  const Published<Operands> lanes = publish(&mine);
  const auto half = [](uint32_t word, int which) { return float_of_bits(which ? word & 0xffff0000u : word << 16); };
  const int lane = lane_of_warp(), group = lane / 4, pair = lane % 4 * 2;
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < 16; k++) {
      const float x = half(lanes[group * 4 + k % 8 / 2]->a[i / 2 + k / 8 * 2], k % 2);
      const float y = half(lanes[(pair + i % 2) * 4 + k % 8 / 2]->b[k / 8], k % 2);
      d[i] += x * y;
    }
  __syncwarp();  // all have read mine
}

/// Four matrices of 8 rows of 8 elements, 16 bytes each, in shared memory: lane 8m + r says where row r of matrix m is.
/// r[m] is row group, columns pair and pair + 1 of matrix m.
inline void load_matrices(uint32_t (&r)[4], const bf16* row) {
  const Published<bf16> rows = publish(row);
  const int lane = lane_of_warp();
  for (int m = 0; m < 4; m++) std::memcpy(&r[m], rows[m * 8 + lane / 4] + lane % 4 * 2, sizeof r[m]);
}
/// The same of the matrices transposed: rows pair and pair + 1, column group.
inline void load_matrices_transposed(uint32_t (&r)[4], const bf16* row) {
  const Published<bf16> rows = publish(row);
  const int lane = lane_of_warp(), group = lane / 4, pair = lane % 4 * 2;
  for (int m = 0; m < 4; m++)
    r[m] = rows[m * 8 + pair][group].bits | static_cast<uint32_t>(rows[m * 8 + pair + 1][group].bits) << 16;
}

/// 16 bytes from global to shared memory, or zeros, done when a later wait_copies() of the same thread returns; both
/// addresses are aligned. Others see them after a barrier. Here they are put off until then: reading too early shows.
/// Blocks are of one dimension.
struct PendingCopy {
  void* shared;
  const void* global;
  bool there;
};
inline std::vector<PendingCopy> pending_copies[emulation::kMaxThreads];  // one block at a time runs
inline void copy_async(void* shared, const void* global, bool there) {
  pending_copies[threadIdx.x].push_back({shared, global, there});
}
inline void wait_copies() {
  for (const PendingCopy& copy : pending_copies[threadIdx.x]) {
    if (copy.there)
      std::memcpy(copy.shared, copy.global, 16);
    else
      std::memset(copy.shared, 0, 16);
  }
  pending_copies[threadIdx.x].clear();
}

#elif defined(__CUDACC__)

__device__ inline uint32_t pack_halves(float first, float second) {
#if defined(__CUDA_ARCH__)
  uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
  return word;
#else
  return 0;
#endif
}

__device__ inline float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ inline uint32_t shared_address(const void* address) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(address));
}

__device__ inline void load_matrices(uint32_t (&r)[4], const bf16* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ inline void load_matrices_transposed(uint32_t (&r)[4], const bf16* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

__device__ inline void copy_async(void* shared, const void* global, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(there ? 16 : 0)
               : "memory");
}
__device__ inline void wait_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

#endif

}  // namespace cfgd
