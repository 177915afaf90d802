#include <cuda_runtime.h>

#include <type_traits>

#include "cuda/fault.cuh"
#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "cuda/strip.cuh"
#include "ops/nn/activation/activation.h"
#include "ops/nn/activation/functions.cuh"

namespace cfgd {
namespace {

// All of these move every byte once; map_strips of cuda/strip.cuh says how. Some forty instructions per element fit
// beside that also in bfloat16.

constexpr int kUnroll = 2;  // strips of each input that a thread has in flight

template <class Kind, class T, bool kVector>
__global__ void __launch_bounds__(kStripThreads) forward_strips(ActivationForward<T> a, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = kPack<T>;
  map_flat<kWidth, kUnroll, kVector>({a.x}, {a.y}, a.n,
                                     [](FlatPlace, const float (&x)[1][kWidth], float (&y)[1][kWidth]) {
#pragma unroll
                                       for (int k = 0; k < kWidth; k++) y[0][k] = value_of<Kind>(x[0][k]);
                                     });
}

template <class Kind, class T, bool kVector>
__global__ void __launch_bounds__(kStripThreads) backward_strips(ActivationBackward<T> a, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = kPack<T>;
  map_flat<kWidth, kUnroll, kVector>(
      {a.x, a.grad_y}, {a.grad_x}, a.n, [](FlatPlace, const float (&x)[2][kWidth], float (&y)[1][kWidth]) {
#pragma unroll
        for (int k = 0; k < kWidth; k++) y[0][k] = x[1][k] * value_and_slope<Kind>(x[0][k]).slope;
      });
}

/// Where a strip of the rows of [rows, n] is in [rows, 2n]: gate and up first and second there, third in [rows, n].
struct GatedPlace {
  int64_t gate, n, flat;
  __device__ int64_t in(int k) const { return k == 0 ? gate : k == 1 ? gate + n : flat; }
};
struct GatedForwardPlace : GatedPlace {
  __device__ int64_t out(int) const { return flat; }
};
struct GatedBackwardPlace : GatedPlace {
  __device__ int64_t out(int k) const { return in(k); }
};

/// The place of element `at` of [rows, n].
template <class Place>
__device__ Place gated_place(int64_t at, int64_t n) {
  return {{at + at / n * n, n, at}};
}

// Strips are of one element where longer ones would cross rows or are not aligned.
template <class Kind, class T, int kWidth>
__global__ void __launch_bounds__(kStripThreads) gated_forward_strips(GatedForward<T> a, FaultPort port) {
  if (skipped(port)) return;
  map_strips<kWidth, kUnroll, kWidth != 1>(
      {a.x, a.x}, {a.y}, a.rows * a.n, [&](int64_t at) { return gated_place<GatedForwardPlace>(at, a.n); },
      [](const GatedForwardPlace&, const float (&x)[2][kWidth], float (&y)[1][kWidth]) {
#pragma unroll
        for (int k = 0; k < kWidth; k++) y[0][k] = value_of<Kind>(x[0][k]) * x[1][k];
      });
}

template <class Kind, class T, int kWidth>
__global__ void __launch_bounds__(kStripThreads) gated_backward_strips(GatedBackward<T> a, FaultPort port) {
  if (skipped(port)) return;
  map_strips<kWidth, kUnroll, kWidth != 1>(
      {a.x, a.x, a.grad_y}, {a.grad_x, a.grad_x}, a.rows * a.n,
      [&](int64_t at) { return gated_place<GatedBackwardPlace>(at, a.n); },
      [](const GatedBackwardPlace&, const float (&x)[3][kWidth], float (&y)[2][kWidth]) {
#pragma unroll
        for (int k = 0; k < kWidth; k++) {
          const ValueAndSlope f = value_and_slope<Kind>(x[0][k]);
          y[0][k] = x[2][k] * f.slope * x[1][k];
          y[1][k] = x[2][k] * f.value;
        }
      });
}

template <class Body>
void with_kind(Activation kind, const Body& body) {
  switch (kind) {
    case Activation::gelu: return body(std::type_identity<Gelu>{});
    case Activation::gelu_tanh: return body(std::type_identity<GeluTanh>{});
    case Activation::silu: return body(std::type_identity<Silu>{});
  }
}

template <class Args>
void launch(void (*kernel)(Args, FaultPort), int64_t strips, const LaunchContext& context, const Args& a) {
  if (strips > 0)
    CFGD_LAUNCH(kernel, strip_grid(strips, kUnroll), dim3(kStripThreads), 0, context.stream, a, context.fault);
}

template <class T>
int64_t strips_of(int64_t n) {
  return (n + kPack<T> - 1) / kPack<T>;
}

template <class T>
int32_t activation_forward(const LaunchContext& context, const ActivationForward<T>& a, cfgd_status*) {
  with_kind(a.kind, [&](auto kind) {
    using Kind = typename decltype(kind)::type;
    const auto kernel = all_aligned16({a.x, a.y}) ? forward_strips<Kind, T, true> : forward_strips<Kind, T, false>;
    launch(kernel, strips_of<T>(a.n), context, a);
  });
  return CFGD_OK;
}

template <class T>
int32_t activation_backward(const LaunchContext& context, const ActivationBackward<T>& a, cfgd_status*) {
  with_kind(a.kind, [&](auto kind) {
    using Kind = typename decltype(kind)::type;
    const bool aligned = all_aligned16({a.x, a.grad_y, a.grad_x});
    launch(aligned ? backward_strips<Kind, T, true> : backward_strips<Kind, T, false>, strips_of<T>(a.n), context, a);
  });
  return CFGD_OK;
}

template <class T>
int32_t gated_forward(const LaunchContext& context, const GatedForward<T>& a, cfgd_status*) {
  with_kind(a.kind, [&](auto kind) {
    using Kind = typename decltype(kind)::type;
    const bool wide = a.n % kPack<T> == 0 && all_aligned16({a.x, a.y});
    launch(wide ? gated_forward_strips<Kind, T, kPack<T>> : gated_forward_strips<Kind, T, 1>,
           a.rows * a.n / (wide ? kPack<T> : 1), context, a);
  });
  return CFGD_OK;
}

template <class T>
int32_t gated_backward(const LaunchContext& context, const GatedBackward<T>& a, cfgd_status*) {
  with_kind(a.kind, [&](auto kind) {
    using Kind = typename decltype(kind)::type;
    const bool wide = a.n % kPack<T> == 0 && all_aligned16({a.x, a.grad_y, a.grad_x});
    launch(wide ? gated_backward_strips<Kind, T, kPack<T>> : gated_backward_strips<Kind, T, 1>,
           a.rows * a.n / (wide ? kPack<T> : 1), context, a);
  });
  return CFGD_OK;
}

template <class T>
void register_for(CudaTable& table, DType type) {
  set<ActivationForward<T>, activation_forward<T>>(table, {Op::activation_forward, type}, explain_nothing);
  set<ActivationBackward<T>, activation_backward<T>>(table, {Op::activation_backward, type}, explain_nothing);
  set<GatedForward<T>, gated_forward<T>>(table, {Op::gated_forward, type}, explain_nothing);
  set<GatedBackward<T>, gated_backward<T>>(table, {Op::gated_backward, type}, explain_nothing);
}

}  // namespace

void register_cuda_activation(CudaTable& table) {
  register_for<float>(table, DType::f32);
  register_for<bf16>(table, DType::bf16);
}

}  // namespace cfgd
