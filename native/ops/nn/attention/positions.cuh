// Writing the key/value cache, and rotary positions. Device code. Both move every element once, 16 bytes at a time when
// addresses allow, with one block per row and position: 9 kB of bfloat16 at 12 heads of 64.
#pragma once
#include <cuda_runtime.h>

#include "cuda/fault.cuh"
#include "cuda/pack.cuh"
#include "ops/nn/attention/attention.h"
#include "ops/nn/attention/faults.h"

namespace cfgd {

constexpr int kPositionThreads = 128;

template <class T>
__global__ void __launch_bounds__(kPositionThreads) write_cache(CacheWrite<T> a, bool wide, FaultPort port) {
  if (skipped(port)) return;
  const QkvShape& s = a.shape;
  const int64_t position = *a.position;
  if (position < 0 || position + s.positions > a.capacity) {
    if (blockIdx.x == 0 && threadIdx.x == 0)
      raise_fault(port, s.positions, position < 0 ? -1 - position : position,
                  position < 0 ? kNegativeWritePosition : kWritePosition, a.capacity);
    return;
  }
  if (s.positions == 0) return;
  const int64_t row = blockIdx.x / s.positions, i = blockIdx.x - row * s.positions, width = s.heads * s.head_dim;
  const T* from = a.qkv + int64_t{blockIdx.x} * 3 * width + width;
  const int n = static_cast<int>(s.head_dim), unit = wide ? kPack<T> : 1, units = n / unit;
  const int heads = static_cast<int>(s.heads);
  for (int u = static_cast<int>(threadIdx.x); u < 2 * heads * units; u += kPositionThreads) {
    const int line = u / units, d = (u - line * units) * unit, part = line >= heads, head = line - part * heads;
    T* to = a.cache + (((part * s.rows + row) * s.heads + head) * a.capacity + position + i) * n + d;
    if (wide)
      *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from + int64_t{line} * n + d);
    else
      *to = from[int64_t{line} * n + d];
  }
}

constexpr int kMaxHalf = 128;  // of a head dimension of 256

/// base^(−2i / head_dim) / 2π for every i, in turns per position: computed on the host.
struct Frequencies {
  double turns[kMaxHalf];
};

/// The angle's whole turns are taken off in double precision, at four double operations; the sine and cosine of what is
/// left are float32, corrected by the part of the angle that float32 drops. Within 1.5 · 10^−7 of the true values for
/// |position| < 10^8.
__device__ inline void turn(double turns, float& cosine, float& sine) {
  const double rest = 2 * (turns - rint(turns));  // in half turns
  const float coarse = static_cast<float>(rest), fine = static_cast<float>(rest - coarse) * 3.14159265f;
  float s, c;
  sincospif(coarse, &s, &c);
  cosine = fmaf(-s, fine, c);
  sine = fmaf(c, fine, s);
}

template <class T>
__global__ void __launch_bounds__(kPositionThreads) rotate(Rotary<T> a, const __grid_constant__ Frequencies frequencies,
                                                          bool wide, FaultPort port) {
  __shared__ float cosines[kMaxHalf], sines[kMaxHalf];
  if (skipped(port)) return;
  const QkvShape& s = a.shape;
  const int64_t width = s.heads * s.head_dim;
  const T* in = a.qkv + int64_t{blockIdx.x} * 3 * width;
  T* out = a.out + int64_t{blockIdx.x} * 3 * width;
  const int n = static_cast<int>(s.head_dim), half = n / 2, thread = static_cast<int>(threadIdx.x);
  const double position = a.positions[blockIdx.x];
  for (int i = thread; i < half; i += kPositionThreads) {
    turn(position * frequencies.turns[i], cosines[i], sines[i]);
    if (a.inverse) sines[i] = -sines[i];
  }
  __syncthreads();
  constexpr int kCount = kPack<T>;
  const int64_t pairs = 2 * s.heads * half;
  if (wide) {
    for (int64_t u = thread; u < pairs / kCount; u += kPositionThreads) {
      const int64_t head = u * kCount / half;
      const int i = static_cast<int>(u * kCount - head * half);
      float x[kCount], y[kCount], turned_x[kCount], turned_y[kCount];
      load_pack(in + head * n + i, x);
      load_pack(in + head * n + half + i, y);
#pragma unroll
      for (int e = 0; e < kCount; e++) {
        turned_x[e] = x[e] * cosines[i + e] - y[e] * sines[i + e];
        turned_y[e] = y[e] * cosines[i + e] + x[e] * sines[i + e];
      }
      store_pack(out + head * n + i, turned_x);
      store_pack(out + head * n + half + i, turned_y);
    }
    for (int64_t u = thread; u < width / kCount; u += kPositionThreads)
      reinterpret_cast<uint4*>(out + 2 * width)[u] = reinterpret_cast<const uint4*>(in + 2 * width)[u];
  } else {
    for (int64_t u = thread; u < pairs; u += kPositionThreads) {
      const int64_t head = u / half;
      const int i = static_cast<int>(u - head * half);
      const float x = widened(in[head * n + i]), y = widened(in[head * n + half + i]);
      out[head * n + i] = narrowed<T>(x * cosines[i] - y * sines[i]);
      out[head * n + half + i] = narrowed<T>(y * cosines[i] + x * sines[i]);
    }
    for (int64_t u = thread; u < width; u += kPositionThreads) out[2 * width + u] = in[2 * width + u];
  }
}

}  // namespace cfgd
