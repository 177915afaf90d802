// Kernels that map elements to elements: every thread reads several strips of neighbouring elements before it uses the
// first, neighbouring threads read neighbouring strips, and the grid strides over what is left. Device code, and the
// choice of a grid.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <initializer_list>

#include "cuda/pack.cuh"

namespace cfgd {

constexpr int kStripThreads = 256;
// Two waves of eight blocks on each of the 132 multiprocessors of an H100; on other devices only the tail differs.
constexpr int64_t kStripBlocks = 2112;

/// The grid for `strips` strips of which a thread has `unroll` in flight. At least one block.
inline dim3 strip_grid(int64_t strips, int unroll) {
  const int64_t per_block = int64_t{unroll} * kStripThreads, blocks = (strips + per_block - 1) / per_block;
  return dim3(static_cast<unsigned>(blocks < 1 ? 1 : blocks < kStripBlocks ? blocks : kStripBlocks));
}

/// A grid of this many blocks, or of as many as a grid can have, for kernels that stride over the rest.
inline dim3 grid_of(int64_t blocks) { return dim3(static_cast<unsigned>(blocks < INT32_MAX ? blocks : INT32_MAX)); }

/// Whether all addresses allow accesses of 16 bytes. Host code.
inline bool all_aligned16(std::initializer_list<const void*> addresses) {
  uintptr_t bits = 0;
  for (const void* address : addresses) bits |= reinterpret_cast<uintptr_t>(address);
  return (bits & 15) == 0;
}

/// Reads kWidth elements: 16 bytes at a time, or one by one where the address does not allow it.
template <bool kVector, class T, int kWidth>
__device__ void load_strip(const T* from, float (&x)[kWidth]) {
  if constexpr (kVector) {
    static_assert(kWidth % kPack<T> == 0);
#pragma unroll
    for (int i = 0; i < kWidth; i += kPack<T>) {
      float pack[kPack<T>];
      load_pack(from + i, pack);
#pragma unroll
      for (int k = 0; k < kPack<T>; k++) x[i + k] = pack[k];
    }
  } else {
#pragma unroll
    for (int k = 0; k < kWidth; k++) x[k] = widened(from[k]);
  }
}
template <bool kVector, class T, int kWidth>
__device__ void store_strip(T* to, const float (&x)[kWidth]) {
  if constexpr (kVector) {
    static_assert(kWidth % kPack<T> == 0);
#pragma unroll
    for (int i = 0; i < kWidth; i += kPack<T>) {
      float pack[kPack<T>];
#pragma unroll
      for (int k = 0; k < kPack<T>; k++) pack[k] = x[i + k];
      store_pack(to + i, pack);
    }
  } else {
#pragma unroll
    for (int k = 0; k < kWidth; k++) to[k] = narrowed<T>(x[k]);
  }
}

/// The same for the first `count` elements only; the rest is read as 0.
template <bool kVector, class T, int kWidth>
__device__ void load_strip(const T* from, int64_t count, float (&x)[kWidth]) {
  if (count >= kWidth) return load_strip<kVector>(from, x);
#pragma unroll
  for (int k = 0; k < kWidth; k++) x[k] = k < count ? widened(from[k]) : 0.0f;
}
template <bool kVector, class T, int kWidth>
__device__ void store_strip(T* to, int64_t count, const float (&x)[kWidth]) {
  if (count >= kWidth) return store_strip<kVector>(to, x);
#pragma unroll
  for (int k = 0; k < kWidth; k++)
    if (k < count) to[k] = narrowed<T>(x[k]);
}

/// Where the strip of flat arrays that begins at element `at` is.
struct FlatPlace {
  int64_t at;
  __device__ int64_t in(int) const { return at; }
  __device__ int64_t out(int) const { return at; }
};

/// Calls body(place, x, y) for every strip of kWidth of the n elements (the last may be shorter), x[k] being what
/// in[k] holds at place.in(k) and y[k] becoming what out[k] holds at place.out(k); place = where(first element of the
/// strip). An output may be an input: each element is read before it is written. kVector: all strips are aligned to 16
/// bytes.
template <int kWidth, int kUnroll, bool kVector, class In, class Out, int kIn, int kOut, class Where, class Body>
__device__ void map_strips(const In* const (&in)[kIn], Out* const (&out)[kOut], int64_t n, const Where& where,
                           const Body& body) {
  constexpr int kTile = kUnroll * kStripThreads;
  const int64_t whole = n / kWidth, strips = (n + kWidth - 1) / kWidth;
  for (int64_t tile = int64_t{blockIdx.x} * kTile; tile < strips; tile += int64_t{gridDim.x} * kTile) {
    const int64_t first = tile + threadIdx.x;
    if (tile + kTile <= whole) {
      float x[kUnroll][kIn][kWidth];
#pragma unroll
      for (int u = 0; u < kUnroll; u++) {
        const auto place = where((first + u * kStripThreads) * kWidth);
#pragma unroll
        for (int k = 0; k < kIn; k++) load_strip<kVector>(in[k] + place.in(k), x[u][k]);
      }
#pragma unroll
      for (int u = 0; u < kUnroll; u++) {
        const auto place = where((first + u * kStripThreads) * kWidth);
        float y[kOut][kWidth];
        body(place, x[u], y);
#pragma unroll
        for (int k = 0; k < kOut; k++) store_strip<kVector>(out[k] + place.out(k), y[k]);
      }
      continue;
    }
    for (int64_t strip = first; strip < strips && strip < tile + kTile; strip += kStripThreads) {
      const int64_t count = n - strip * kWidth;
      const auto place = where(strip * kWidth);
      float x[kIn][kWidth], y[kOut][kWidth];
#pragma unroll
      for (int k = 0; k < kIn; k++) load_strip<kVector>(in[k] + place.in(k), count, x[k]);
      body(place, x, y);
#pragma unroll
      for (int k = 0; k < kOut; k++) store_strip<kVector>(out[k] + place.out(k), count, y[k]);
    }
  }
}

/// map_strips over flat arrays.
template <int kWidth, int kUnroll, bool kVector, class In, class Out, int kIn, int kOut, class Body>
__device__ void map_flat(const In* const (&in)[kIn], Out* const (&out)[kOut], int64_t n, const Body& body) {
  map_strips<kWidth, kUnroll, kVector>(in, out, n, [](int64_t at) { return FlatPlace{at}; }, body);
}

}  // namespace cfgd
