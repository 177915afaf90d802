// What becomes of a sum of products: out = (into + bias) + sum, rounded once. Device code.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/pack.cuh"
#include "ops/nn/matmul/matmul.h"
#include "tensor/element.h"

namespace cfgd {

/// The result of a product, of type Out.
template <class Out>
struct Output {
  Out* out;           // [m, n]
  const float* bias;  // [n], or null
  int64_t m, n;
  bool accumulate;

  template <class T>
  __device__ explicit Output(const Matmul<T>& a)
      : out(static_cast<Out*>(a.out)), bias(a.bias), m(a.m), n(a.n), accumulate(a.accumulate != 0) {}

  /// kCount adjacent elements of a row, of which some may lie outside. The first column is a multiple of kCount.
  template <int kCount>
  __device__ void put_some(int64_t row, int64_t column, const float* sums) const {
    struct alignas(kCount * sizeof(Out)) Elements {
      Out at[kCount];
    };
    if (row >= m || column >= n) return;
    Out* to = out + row * n + column;
    if (n % kCount == 0 && reinterpret_cast<uintptr_t>(out) % sizeof(Elements) == 0) {
      Elements elements;
      if (accumulate) elements = *reinterpret_cast<const Elements*>(to);
#pragma unroll
      for (int i = 0; i < kCount; i++) elements.at[i] = finished(elements.at[i], column + i, sums[i]);
      *reinterpret_cast<Elements*>(to) = elements;
    } else {
#pragma unroll
      for (int i = 0; i < kCount; i++)
        if (column + i < n) to[i] = finished(to[i], column + i, sums[i]);
    }
  }
  __device__ void put(int64_t row, int64_t column, float sum) const { put_some<1>(row, column, &sum); }

 private:
  __device__ Out finished(const Out& into, int64_t column, float sum) const {
    float base = accumulate ? widened(into) : 0;
    if (bias) base += bias[column];
    return narrowed<Out>(base + sum);
  }
};

}  // namespace cfgd
