// Reading and writing 16 bytes at a time, as float32 whatever the type of the elements. Device code.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "tensor/element.h"

namespace cfgd {

__device__ inline bool aligned16(const void* address) { return (reinterpret_cast<uintptr_t>(address) & 15) == 0; }

/// How many elements of a type fit into one access.
template <class T>
constexpr int kPack = 16 / sizeof(T);

/// `from` is aligned to 16 bytes.
__device__ inline void load_pack(const float* from, float (&x)[4]) {
  const float4 v = *reinterpret_cast<const float4*>(from);
  x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
}
__device__ inline void store_pack(float* to, const float (&x)[4]) {
  *reinterpret_cast<float4*>(to) = {x[0], x[1], x[2], x[3]};
}

__device__ inline void load_pack(const bf16* from, float (&x)[8]) {
  const uint4 v = *reinterpret_cast<const uint4*>(from);
  const uint32_t pairs[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {  // the lower half of a word is the earlier element
    x[2 * i] = float_of_bits(pairs[i] << 16);
    x[2 * i + 1] = float_of_bits(pairs[i] & 0xffff0000u);
  }
}
__device__ inline void store_pack(bf16* to, const float (&x)[8]) {
  uint32_t pairs[4];
#pragma unroll
  for (int i = 0; i < 4; i++)
    pairs[i] = narrowed<bf16>(x[2 * i]).bits | static_cast<uint32_t>(narrowed<bf16>(x[2 * i + 1]).bits) << 16;
  *reinterpret_cast<uint4*>(to) = {pairs[0], pairs[1], pairs[2], pairs[3]};
}

__device__ inline void load_pack(const f16* from, float (&x)[8]) {
  const uint4 v = *reinterpret_cast<const uint4*>(from);
  const uint32_t pairs[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    x[2 * i] = widened(f16{static_cast<uint16_t>(pairs[i])});
    x[2 * i + 1] = widened(f16{static_cast<uint16_t>(pairs[i] >> 16)});
  }
}
__device__ inline void store_pack(f16* to, const float (&x)[8]) {
  uint32_t pairs[4];
#pragma unroll
  for (int i = 0; i < 4; i++)
    pairs[i] = narrowed<f16>(x[2 * i]).bits | static_cast<uint32_t>(narrowed<f16>(x[2 * i + 1]).bits) << 16;
  *reinterpret_cast<uint4*>(to) = {pairs[0], pairs[1], pairs[2], pairs[3]};
}

/// to[i] = body(i, from[i]) for this thread's share of [0, n): `thread` of `threads` take part, and neighbours touch
/// neighbouring memory. 16 bytes at a time when both addresses allow it. `to` may be `from`.
template <class T, class Body>
__device__ void transform(const T* from, T* to, int64_t n, int64_t thread, int64_t threads, const Body& body) {
  constexpr int kCount = kPack<T>;
  int64_t done = 0;
  if (aligned16(from) && aligned16(to)) {
    done = n / kCount * kCount;
    for (int64_t i = thread * kCount; i < done; i += threads * kCount) {
      float x[kCount];
      load_pack(from + i, x);
#pragma unroll
      for (int k = 0; k < kCount; k++) x[k] = body(i + k, x[k]);
      store_pack(to + i, x);
    }
  }
  for (int64_t i = done + thread; i < n; i += threads) to[i] = narrowed<T>(body(i, widened(from[i])));
}

}  // namespace cfgd
