#include "ops/nn/norm/norm.h"

#include "addon/families.h"
#include "addon/layers.h"

namespace cfgd {
namespace {

float epsilon_of(const Napi::Value& value) {
  const float epsilon = finite_of(value, "epsilon");
  if (!(epsilon > 0)) fail(CFGD_VALUE, "epsilon", "expected more than 0, got %g", epsilon);
  return epsilon;
}

// (x, gain, bias | null, epsilon): [y, mean [rows], inverseStd [rows]]
Napi::Value layer_norm_forward(const Napi::CallbackInfo& info) {
  const Tensor& x = elements_of(info[0], "x");
  const auto [rows, n] = rows_view(x, "x");
  const Tensor& gain = tensor_beside(info[1], "gain", DType::f32, {n}, x, "x");
  std::vector<const Tensor*> inputs = {&x, &gain};
  LayerNormForwardArgs args{};
  if (!is_absent(info[2])) {
    const Tensor& bias = tensor_beside(info[2], "bias", DType::f32, {n}, x, "x");
    args.bias = bias.data();
    inputs.push_back(&bias);
  }
  args.epsilon = epsilon_of(info[3]);
  Tensor y = x.device().empty(x.dtype, x.shape);
  Tensor mean = x.device().empty(DType::f32, {rows}), inverse_std = x.device().empty(DType::f32, {rows});
  args.x = x.data();
  args.gain = gain.data();
  args.y = y.data();
  args.mean = mean.data();
  args.inverse_std = inverse_std.data();
  args.rows = rows;
  args.n = n;
  submit(info.Env(), {Op::layer_norm_forward, x.dtype}, bytes_of(args), inputs, {&y, &mean, &inverse_std});
  return tensor_list(info.Env(), {&y, &mean, &inverse_std});
}

// (gradY, x, gain, mean, inverseStd, withBias): [gradX, gradGain, gradBias | null]
Napi::Value layer_norm_backward(const Napi::CallbackInfo& info) {
  const Tensor& x = elements_of(info[1], "x");
  const auto [rows, n] = rows_view(x, "x");
  const Tensor& grad_y = tensor_like(info[0], "gradY", x.shape, x, "x", x.dtype);
  const Tensor& gain = tensor_beside(info[2], "gain", DType::f32, {n}, x, "x");
  const Tensor& mean = tensor_beside(info[3], "mean", DType::f32, {rows}, x, "x");
  const Tensor& inverse_std = tensor_beside(info[4], "inverseStd", DType::f32, {rows}, x, "x");
  const bool with_bias = boolean_of(info[5], "withBias");
  Tensor grad_x = x.device().empty(x.dtype, x.shape), grad_gain = x.device().empty(DType::f32, {n});
  Tensor grad_bias;
  std::vector<const Tensor*> outputs = {&grad_x, &grad_gain};
  if (with_bias) {
    grad_bias = x.device().empty(DType::f32, {n});
    outputs.push_back(&grad_bias);
  }
  const Tensor scratch = workspace(x.device(), DType::f32, norm_chunks(rows) * 2 * n);
  outputs.push_back(&scratch);
  const LayerNormBackwardArgs args{grad_y.data(),    x.data(),           gain.data(),
                                   mean.data(),      inverse_std.data(), grad_x.data(),
                                   grad_gain.data(), with_bias ? grad_bias.data() : nullptr,
                                   rows,             n,                  scratch.data()};
  submit(info.Env(), {Op::layer_norm_backward, x.dtype}, bytes_of(args), {&grad_y, &x, &gain, &mean, &inverse_std},
         outputs);
  return tensor_list(info.Env(), {&grad_x, &grad_gain, with_bias ? &grad_bias : nullptr});
}

// (x, gain, epsilon): [y, inverseRms [rows]]
Napi::Value rms_norm_forward(const Napi::CallbackInfo& info) {
  const Tensor& x = elements_of(info[0], "x");
  const auto [rows, n] = rows_view(x, "x");
  const Tensor& gain = tensor_beside(info[1], "gain", DType::f32, {n}, x, "x");
  const float epsilon = epsilon_of(info[2]);
  Tensor y = x.device().empty(x.dtype, x.shape), inverse_rms = x.device().empty(DType::f32, {rows});
  const RmsNormForwardArgs args{x.data(), gain.data(), epsilon, y.data(), inverse_rms.data(), rows, n};
  submit(info.Env(), {Op::rms_norm_forward, x.dtype}, bytes_of(args), {&x, &gain}, {&y, &inverse_rms});
  return tensor_list(info.Env(), {&y, &inverse_rms});
}

// (gradY, x, gain, inverseRms): [gradX, gradGain]
Napi::Value rms_norm_backward(const Napi::CallbackInfo& info) {
  const Tensor& x = elements_of(info[1], "x");
  const auto [rows, n] = rows_view(x, "x");
  const Tensor& grad_y = tensor_like(info[0], "gradY", x.shape, x, "x", x.dtype);
  const Tensor& gain = tensor_beside(info[2], "gain", DType::f32, {n}, x, "x");
  const Tensor& inverse_rms = tensor_beside(info[3], "inverseRms", DType::f32, {rows}, x, "x");
  Tensor grad_x = x.device().empty(x.dtype, x.shape), grad_gain = x.device().empty(DType::f32, {n});
  const Tensor scratch = workspace(x.device(), DType::f32, norm_chunks(rows) * n);
  const RmsNormBackwardArgs args{grad_y.data(), x.data(),         gain.data(), inverse_rms.data(),
                                 grad_x.data(), grad_gain.data(), rows,        n,
                                 scratch.data()};
  submit(info.Env(), {Op::rms_norm_backward, x.dtype}, bytes_of(args), {&grad_y, &x, &gain, &inverse_rms},
         {&grad_x, &grad_gain, &scratch});
  return tensor_list(info.Env(), {&grad_x, &grad_gain});
}

// (x): [y, inverseNorm [rows]]
Napi::Value l2_normalize_forward(const Napi::CallbackInfo& info) {
  const Tensor& x = tensor_of(info[0], "x", DType::f32);
  const auto [rows, n] = rows_view(x, "x");
  Tensor y = x.device().empty(DType::f32, x.shape), inverse_norm = x.device().empty(DType::f32, {rows});
  submit(info.Env(), Op::l2_normalize_forward,
         bytes_of(L2NormalizeForwardArgs{x.data(), y.data(), inverse_norm.data(), rows, n}), {&x}, {&y, &inverse_norm});
  return tensor_list(info.Env(), {&y, &inverse_norm});
}

// (gradY, y, inverseNorm): gradX
Napi::Value l2_normalize_backward(const Napi::CallbackInfo& info) {
  const Tensor& y = tensor_of(info[1], "y", DType::f32);
  const auto [rows, n] = rows_view(y, "y");
  const Tensor& grad_y = tensor_like(info[0], "gradY", y.shape, y, "y");
  const Tensor& inverse_norm = tensor_beside(info[2], "inverseNorm", DType::f32, {rows}, y, "y");
  Tensor grad_x = y.device().empty(DType::f32, y.shape);
  const L2NormalizeBackwardArgs args{grad_y.data(), y.data(), inverse_norm.data(), grad_x.data(), rows, n};
  submit(info.Env(), Op::l2_normalize_backward, bytes_of(args), {&grad_y, &y, &inverse_norm}, {&grad_x});
  return TensorObject::wrap(info.Env(), std::move(grad_x));
}

}  // namespace

void export_norm(Napi::Object exports) {
  export_function<layer_norm_forward>(exports, "layerNormForward");
  export_function<layer_norm_backward>(exports, "layerNormBackward");
  export_function<rms_norm_forward>(exports, "rmsNormForward");
  export_function<rms_norm_backward>(exports, "rmsNormBackward");
  export_function<l2_normalize_forward>(exports, "l2NormalizeForward");
  export_function<l2_normalize_backward>(exports, "l2NormalizeBackward");
}

}  // namespace cfgd
