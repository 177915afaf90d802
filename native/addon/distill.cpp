#include "ops/distill/distill.h"

#include <cmath>

#include "addon/arguments.h"
#include "addon/families.h"
#include "addon/host_call.h"

namespace cfgd {
namespace {

Divergence divergence_of(const Napi::Value& value) {
  const std::string name = string_of(value, "divergence");
  if (name == "reverse") return Divergence::reverse;
  if (name == "forward") return Divergence::forward;
  if (name == "jsd") return Divergence::jsd;
  fail(CFGD_VALUE, "divergence", "expected 'reverse', 'forward' or 'jsd', got '%s'", name.c_str());
}

/// temperature, divergence and jsdWeight, three arguments in a row.
void read_options(const Napi::CallbackInfo& info, size_t at, DistillationLossArgs& args) {
  args.temperature = finite_of(info[at], "temperature");
  if (!(args.temperature > 0 && std::isfinite(1 / args.temperature)))
    fail(CFGD_VALUE, "temperature", "expected more than 0 (3e-39 at least), got %g", number_of(info[at], "temperature"));
  args.divergence = divergence_of(info[at + 1]);
  args.jsd_weight = finite_of(info[at + 2], "jsdWeight");
  // In float32, where 1 − w must not vanish either.
  if (args.divergence == Divergence::jsd && !(args.jsd_weight > 0 && args.jsd_weight < 1))
    fail(CFGD_VALUE, "jsdWeight", "expected more than 0 and less than 1, got %.9g", number_of(info[at + 2], "jsdWeight"));
}

void expect_both(const Napi::Value& tokens, const Napi::Value& coefficients) {
  if (is_absent(tokens) != is_absent(coefficients))
    fail(CFGD_VALUE, "policy", "expected tokens and coefficients together, got one of them");
}

// (student, cond, uncond | null, vocab, scale, temperature, divergence, jsdWeight, weights?, tokens?, coefficients?,
//  perToken, entropy, grad, dtype, gradDtype: dtype or float32): the loss.
Napi::Value distillation_loss_now(const Napi::CallbackInfo& info) {
  DistillationLossArgs args{};
  args.vocab = integer_of(info[3], "vocab", 1, INT32_MAX);
  const DType dtype = host_dtype_of(info[14], "dtype"), grad_dtype = host_dtype_of(info[15], "gradDtype");
  if (grad_dtype != dtype && grad_dtype != DType::f32)
    fail(CFGD_DTYPE, "gradDtype", "expected float32 or that of the logits, %s, got %s", name_of(dtype), name_of(grad_dtype));
  const Span<float> student = host_elements_of(info[0], "student", dtype);
  args.rows = rows_of(student.length, args.vocab, "student");
  // The gradient may take the place of logits that it has the type of.
  HostCall call;
  const auto logits = [&](const Napi::Value& value, const char* name) {
    return call.reads(host_elements_of(value, name, dtype, student.length), name, HostCall::InPlace::yes);
  };
  const auto per_row = [&](const Napi::Value& value, const char* name) {
    return call.reads(floats_of(value, name, args.rows), name);
  };
  args.student = logits(info[0], "student");
  args.cond = logits(info[1], "cond");
  if (!is_absent(info[2])) args.uncond = logits(info[2], "uncond");
  if (info[4].IsNumber())
    args.scale = finite_of(info[4], "scale");
  else
    args.scales = per_row(info[4], "scale");
  read_options(info, 5, args);
  if (!is_absent(info[8])) args.weights = per_row(info[8], "weights");
  expect_both(info[9], info[10]);
  std::vector<int32_t> tokens;
  if (!is_absent(info[9])) {
    // A copy: they are indices, and another thread may write to shared memory after they have been checked.
    const Span<int32_t> given = ints_of(info[9], "policy.tokens", args.rows);
    call.reads(given, "policy.tokens");
    tokens.assign(given.data, given.data + given.length);
    args.tokens = tokens.data();
    args.coefficients = per_row(info[10], "policy.coefficients");
  }
  args.per_token = call.writes(floats_of(info[11], "perToken", args.rows), "perToken");
  args.entropy = call.writes(floats_of(info[12], "entropy", args.rows), "entropy");
  float* const grad = call.writes(host_elements_of(info[13], "out", grad_dtype, student.length), "out");
  if (grad_dtype == dtype)
    args.grad = grad;
  else
    args.wide_grad = grad;
  float loss = 0;
  args.loss = &loss;
  run_now({Op::distillation_loss, dtype}, bytes_of(args));
  return Napi::Number::New(info.Env(), loss);
}

// (student, cond, uncond | null, scale, temperature, divergence, jsdWeight, weights?, tokens?, coefficients?), logits of
// float32 or bfloat16:
// [loss, perToken, entropy, grad].
Napi::Value distillation_loss(const Napi::CallbackInfo& info) {
  DistillationLossArgs args{};
  const Tensor& student = elements_of(info[0], "student", {-1, -1});
  args.rows = student.shape[0];
  args.vocab = vocab_of(student, "student");
  std::vector<const Tensor*> inputs = {&student};
  const auto input = [&](const Napi::Value& value, const char* name, DType dtype,
                         std::initializer_list<int64_t> shape) -> const Tensor& {
    const Tensor& tensor = tensor_of(value, name, dtype, shape);
    expect_same_device(student, "student", tensor, name);
    inputs.push_back(&tensor);
    return tensor;
  };
  args.student = student.data();
  args.cond = input(info[1], "cond", student.dtype, {args.rows, args.vocab}).data();
  if (!is_absent(info[2])) args.uncond = input(info[2], "uncond", student.dtype, {args.rows, args.vocab}).data();
  if (info[3].IsNumber())
    args.scale = finite_of(info[3], "scale");
  else
    args.scales = input(info[3], "scale", DType::f32, {args.rows}).data();
  read_options(info, 4, args);
  if (!is_absent(info[7])) args.weights = input(info[7], "weights", DType::f32, {args.rows}).data();
  expect_both(info[8], info[9]);
  if (!is_absent(info[8])) {
    args.tokens = input(info[8], "policy.tokens", DType::i32, {args.rows}).data<int32_t>();
    args.coefficients = input(info[9], "policy.coefficients", DType::f32, {args.rows}).data();
  }
  Device& device = student.device();
  Tensor outputs[] = {device.empty(DType::f32, {1}), device.empty(DType::f32, {args.rows}),
                      device.empty(DType::f32, {args.rows}), device.empty(student.dtype, student.shape)};
  const Tensor row_loss = device.empty(DType::f32, {args.rows});
  args.loss = outputs[0].data();
  args.per_token = outputs[1].data();
  args.entropy = outputs[2].data();
  args.grad = outputs[3].data();
  args.row_loss = row_loss.data();
  submit(info.Env(), {Op::distillation_loss, student.dtype}, bytes_of(args), inputs,
         {&outputs[0], &outputs[1], &outputs[2], &outputs[3], &row_loss});
  Napi::Array result = Napi::Array::New(info.Env(), 4);
  for (uint32_t i = 0; i < 4; i++) result.Set(i, TensorObject::wrap(info.Env(), std::move(outputs[i])));
  return result;
}

}  // namespace

void export_distill(Napi::Object exports) {
  export_function<distillation_loss_now>(exports, "distillationLossNow");
  export_function<distillation_loss>(exports, "distillationLoss");
}

}  // namespace cfgd
