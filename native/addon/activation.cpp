#include "ops/nn/activation/activation.h"

#include "addon/families.h"
#include "addon/layers.h"

namespace cfgd {
namespace {

Activation kind_of(const Napi::Value& value) {
  const std::string name = string_of(value, "kind");
  if (name == "gelu") return Activation::gelu;
  if (name == "gelu-tanh") return Activation::gelu_tanh;
  if (name == "silu") return Activation::silu;
  fail(CFGD_VALUE, "kind", "expected 'gelu', 'gelu-tanh' or 'silu', got '%s'", name.c_str());
}

struct GatedShape {
  int64_t rows, n;
  Shape out;
};

/// The gated form of x [..., 2n].
GatedShape gated_shape(const Tensor& x) {
  const auto [rows, wide] = rows_view(x, "x");
  if (wide % 2) fail(CFGD_SHAPE, "x", "expected an even last dimension, got %s", x.shape.text().c_str());
  GatedShape gated{rows, wide / 2, x.shape};
  gated.out.set(-1, gated.n);
  return gated;
}

// (kind, x)
Napi::Value activation_forward(const Napi::CallbackInfo& info) {
  const Activation kind = kind_of(info[0]);
  const Tensor& x = elements_of(info[1], "x");
  Tensor y = x.device().empty(x.dtype, x.shape);
  const ActivationForwardArgs args{kind, x.data(), y.data(), x.shape.elements()};
  submit(info.Env(), {Op::activation_forward, x.dtype}, bytes_of(args), {&x}, {&y});
  return TensorObject::wrap(info.Env(), std::move(y));
}

// (kind, x, gradY)
Napi::Value activation_backward(const Napi::CallbackInfo& info) {
  const Activation kind = kind_of(info[0]);
  const Tensor& x = elements_of(info[1], "x");
  const Tensor& grad_y = tensor_like(info[2], "gradY", x.shape, x, "x", x.dtype);
  Tensor grad_x = x.device().empty(x.dtype, x.shape);
  const ActivationBackwardArgs args{kind, x.data(), grad_y.data(), grad_x.data(), x.shape.elements()};
  submit(info.Env(), {Op::activation_backward, x.dtype}, bytes_of(args), {&x, &grad_y}, {&grad_x});
  return TensorObject::wrap(info.Env(), std::move(grad_x));
}

// (kind, x [..., 2n]): [..., n]
Napi::Value gated_forward(const Napi::CallbackInfo& info) {
  const Activation kind = kind_of(info[0]);
  const Tensor& x = elements_of(info[1], "x");
  const GatedShape gated = gated_shape(x);
  Tensor y = x.device().empty(x.dtype, gated.out);
  const GatedForwardArgs args{kind, x.data(), y.data(), gated.rows, gated.n};
  submit(info.Env(), {Op::gated_forward, x.dtype}, bytes_of(args), {&x}, {&y});
  return TensorObject::wrap(info.Env(), std::move(y));
}

// (kind, x [..., 2n], gradY [..., n]): [..., 2n]
Napi::Value gated_backward(const Napi::CallbackInfo& info) {
  const Activation kind = kind_of(info[0]);
  const Tensor& x = elements_of(info[1], "x");
  const GatedShape gated = gated_shape(x);
  const Tensor& grad_y = tensor_like(info[2], "gradY", gated.out, x, "x", x.dtype);
  Tensor grad_x = x.device().empty(x.dtype, x.shape);
  const GatedBackwardArgs args{kind, x.data(), grad_y.data(), grad_x.data(), gated.rows, gated.n};
  submit(info.Env(), {Op::gated_backward, x.dtype}, bytes_of(args), {&x, &grad_y}, {&grad_x});
  return TensorObject::wrap(info.Env(), std::move(grad_x));
}

}  // namespace

void export_activation(Napi::Object exports) {
  export_function<activation_forward>(exports, "activationForward");
  export_function<activation_backward>(exports, "activationBackward");
  export_function<gated_forward>(exports, "gatedForward");
  export_function<gated_backward>(exports, "gatedBackward");
}

}  // namespace cfgd
