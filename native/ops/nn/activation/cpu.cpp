#include "ops/nn/activation/activation.h"

#include "cpu/kernel.h"
#include "ops/nn/activation/functions.h"
#include "ops/nn/reduce.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kGrain = 16384;  // elements: some 20 µs of exponentials

/// Calls body with the functions of a kind.
template <class Body>
void with_kind(Activation kind, const Body& body) {
  switch (kind) {
    case Activation::gelu: return body(Gelu{});
    case Activation::gelu_tanh: return body(GeluTanh{});
    case Activation::silu: return body(Silu{});
  }
}

int32_t activation_forward(const ActivationForwardArgs& a, const Parallel& parallel, cfgd_status*) {
  with_kind(a.kind, [&](auto kind) {
    using Kind = decltype(kind);
    parallel(a.n, kGrain, [&](int64_t begin, int64_t end) {
      for_vectors(begin, end, [&](int64_t i, int lanes) {
        store_some(a.y + i, value_of<Kind>(load_some(a.x + i, lanes, 0)), lanes);
      });
    });
  });
  return CFGD_OK;
}

int32_t activation_backward(const ActivationBackwardArgs& a, const Parallel& parallel, cfgd_status*) {
  with_kind(a.kind, [&](auto kind) {
    using Kind = decltype(kind);
    parallel(a.n, kGrain, [&](int64_t begin, int64_t end) {
      for_vectors(begin, end, [&](int64_t i, int lanes) {
        const Vec slope = value_and_slope<Kind>(load_some(a.x + i, lanes, 0)).slope;
        store_some(a.grad_x + i, load_some(a.grad_y + i, lanes, 0) * slope, lanes);
      });
    });
  });
  return CFGD_OK;
}

int32_t gated_forward(const GatedForwardArgs& a, const Parallel& parallel, cfgd_status*) {
  with_kind(a.kind, [&](auto kind) {
    using Kind = decltype(kind);
    parallel(a.rows, kGrain / (a.n + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const float *gate = a.x + r * 2 * a.n, *up = gate + a.n;
        for_vectors(0, a.n, [&](int64_t i, int lanes) {
          const Vec v = value_of<Kind>(load_some(gate + i, lanes, 0));
          store_some(a.y + r * a.n + i, v * load_some(up + i, lanes, 0), lanes);
        });
      }
    });
  });
  return CFGD_OK;
}

int32_t gated_backward(const GatedBackwardArgs& a, const Parallel& parallel, cfgd_status*) {
  with_kind(a.kind, [&](auto kind) {
    using Kind = decltype(kind);
    parallel(a.rows, kGrain / (a.n + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const float *gate = a.x + r * 2 * a.n, *up = gate + a.n, *grad_y = a.grad_y + r * a.n;
        float *grad_gate = a.grad_x + r * 2 * a.n, *grad_up = grad_gate + a.n;
        for_vectors(0, a.n, [&](int64_t i, int lanes) {
          const ValueAndSlope f = value_and_slope<Kind>(load_some(gate + i, lanes, 0));
          const Vec g = load_some(grad_y + i, lanes, 0);
          store_some(grad_gate + i, g * f.slope * load_some(up + i, lanes, 0), lanes);
          store_some(grad_up + i, g * f.value, lanes);
        });
      }
    });
  });
  return CFGD_OK;
}

}  // namespace

void register_activation(CpuTable& table) {
  set<ActivationForwardArgs, activation_forward>(table, Op::activation_forward);
  set<ActivationBackwardArgs, activation_backward>(table, Op::activation_backward);
  set<GatedForwardArgs, gated_forward>(table, Op::gated_forward);
  set<GatedBackwardArgs, gated_backward>(table, Op::gated_backward);
}

}  // namespace cfgd::CFGD_ISA
