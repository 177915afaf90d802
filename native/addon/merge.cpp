#include "ops/merge/merge.h"

#include <cmath>
#include <cstring>

#include "addon/arguments.h"
#include "addon/families.h"
#include "addon/host_call.h"
#include "addon/layers.h"
#include "ops/merge/faults.h"
#include "ops/merge/slerp.h"

namespace cfgd {
namespace {

double weight_of(const Napi::Value& value, const char* argument) {
  const double weight = number_of(value, argument);
  if (!std::isfinite(weight)) fail(CFGD_VALUE, argument, "expected a finite number, got %g", weight);
  return weight;
}

// (a, b, weight, out, dtype): typed arrays, now.
Napi::Value lerp_now(const Napi::CallbackInfo& info) {
  const DType dtype = host_dtype_of(info[4], "dtype");
  const Span<float> a = host_elements_of(info[0], "a", dtype), b = host_elements_of(info[1], "b", dtype, a.length);
  const Span<float> out = host_elements_of(info[3], "out", dtype, a.length);
  HostCall call;
  call.writes(out, "out");
  call.reads(a, "a", HostCall::InPlace::yes);
  call.reads(b, "b", HostCall::InPlace::yes);
  run_now({Op::lerp, dtype}, bytes_of(LerpArgs{a.data, b.data, out.data, weight_of(info[2], "weight"), a.length}));
  return info.Env().Undefined();
}

void expect_same_shape(const Tensor& tensor, const char* argument, const Tensor& other, const char* other_name) {
  if (!(tensor.shape == other.shape))
    fail(CFGD_SHAPE, argument, "expected the shape of %s, %s, got %s", other_name, other.shape.text().c_str(),
         tensor.shape.text().c_str());
  expect_same_device(other, other_name, tensor, argument);
}

/// A tensor of a floating-point type.
const Tensor& floating_of(const Napi::Value& value, const char* argument) {
  const Tensor& tensor = TensorObject::unwrap(value, argument);
  if (tensor.dtype == DType::i32)
    fail(CFGD_DTYPE, argument, "expected float32, float16 or bfloat16, got %s", name_of(tensor.dtype));
  return tensor;
}

// (a, b, weight): tensors of one shape, of float32, float16 or bfloat16.
Napi::Value lerp(const Napi::CallbackInfo& info) {
  const Tensor& a = floating_of(info[0], "a");
  const Tensor& b = tensor_of(info[1], "b", a.dtype);
  expect_same_shape(b, "b", a, "a");
  const double weight = weight_of(info[2], "weight");
  Tensor out = a.device().empty(a.dtype, a.shape);
  submit(info.Env(), {Op::lerp, a.dtype},
         bytes_of(LerpArgs{a.data(), b.data(), out.data(), weight, a.shape.elements()}), {&a, &b}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

/// The elements of a list that must not be empty.
std::vector<Napi::Value> inputs_of(const Napi::Value& value, const char* argument) {
  std::vector<Napi::Value> list = list_of(value, argument);
  if (list.empty()) fail(CFGD_SHAPE, argument, "expected at least one element, got none");
  return list;
}

std::vector<double> weights_of(const std::vector<Napi::Value>& list, const char* argument, size_t count) {
  if (list.size() != count) fail(CFGD_SHAPE, argument, "expected %zu, one per input, got %zu", count, list.size());
  std::vector<double> weights;
  for (const Napi::Value& value : list) weights.push_back(weight_of(value, argument));
  return weights;
}

void divide_by_sum(std::vector<double>& weights, const char* argument) {
  double sum = 0;
  for (const double weight : weights) sum += weight;
  if (sum == 0 || !std::isfinite(sum)) fail(CFGD_VALUE, argument, "expected a finite sum other than 0, got %g", sum);
  for (double& weight : weights) weight /= sum;
}

std::vector<std::byte> average_args(float* out, int64_t n, const std::vector<const float*>& inputs,
                                    const std::vector<double>& weights) {
  std::vector<std::byte> bytes(sizeof(WeightedAverageArgs) + inputs.size() * sizeof(WeightedInput));
  const WeightedAverageArgs header{out, n, static_cast<int64_t>(inputs.size())};
  std::memcpy(bytes.data(), &header, sizeof header);
  for (size_t i = 0; i < inputs.size(); i++) {
    const WeightedInput input{inputs[i], weights[i]};
    std::memcpy(bytes.data() + sizeof header + i * sizeof input, &input, sizeof input);
  }
  return bytes;
}

/// (arrays, weights, out, dtype): typed arrays, now.
void sum_now(const Napi::CallbackInfo& info, const char* weights_name, bool normalised) {
  const std::vector<Napi::Value> list = inputs_of(info[0], "arrays"), given = inputs_of(info[1], weights_name);
  std::vector<double> weights = weights_of(given, weights_name, list.size());
  if (normalised) divide_by_sum(weights, weights_name);
  const DType dtype = host_dtype_of(info[3], "dtype");
  const Span<float> out = host_elements_of(info[2], "out", dtype);
  std::vector<const float*> inputs;
  for (size_t i = 0; i < list.size(); i++) {
    const std::string name = "arrays[" + std::to_string(i) + "]";
    HostCall call;
    call.writes(out, "out");
    inputs.push_back(call.reads(host_elements_of(list[i], name.c_str(), dtype, out.length), name.c_str(),
                                HostCall::InPlace::yes));
  }
  run_now({Op::weighted_average, dtype}, average_args(out.data, out.length, inputs, weights));
}

Napi::Value weighted_average_now(const Napi::CallbackInfo& info) {
  sum_now(info, "weights", true);
  return info.Env().Undefined();
}

Napi::Value weighted_sum_now(const Napi::CallbackInfo& info) {
  sum_now(info, "coefficients", false);
  return info.Env().Undefined();
}

// (tensors, weights): tensors of one shape, of float32, float16 or bfloat16.
Napi::Value weighted_average(const Napi::CallbackInfo& info) {
  const std::vector<Napi::Value> list = inputs_of(info[0], "arrays"), given = inputs_of(info[1], "weights");
  std::vector<double> weights = weights_of(given, "weights", list.size());
  divide_by_sum(weights, "weights");
  std::vector<const Tensor*> tensors;
  std::vector<const float*> inputs;
  for (size_t i = 0; i < list.size(); i++) {
    const std::string name = "arrays[" + std::to_string(i) + "]";
    const Tensor& tensor =
        i ? tensor_of(list[i], name.c_str(), tensors[0]->dtype) : floating_of(list[i], name.c_str());
    if (i) expect_same_shape(tensor, name.c_str(), *tensors[0], "arrays[0]");
    tensors.push_back(&tensor);
    inputs.push_back(tensor.data());
  }
  const DType dtype = tensors[0]->dtype;
  Tensor out = tensors[0]->device().empty(dtype, tensors[0]->shape);
  submit(info.Env(), {Op::weighted_average, dtype}, average_args(out.data(), out.shape.elements(), inputs, weights), tensors,
         {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (a, b, weight, out, dtype): typed arrays, now.
Napi::Value slerp_now(const Napi::CallbackInfo& info) {
  const DType dtype = host_dtype_of(info[4], "dtype");
  const Span<float> a = host_elements_of(info[0], "a", dtype), b = host_elements_of(info[1], "b", dtype, a.length);
  const Span<float> out = host_elements_of(info[3], "out", dtype, a.length);
  HostCall call;
  call.writes(out, "out");
  call.reads(a, "a", HostCall::InPlace::yes);
  call.reads(b, "b", HostCall::InPlace::yes);
  double sums[kSlerpSums];
  run_now({Op::slerp, dtype},
          bytes_of(SlerpArgs{a.data, b.data, out.data, weight_of(info[2], "weight"), a.length, sums, nullptr}));
  return info.Env().Undefined();
}

// (a, b, weight): tensors of one shape, of float32, float16 or bfloat16.
Napi::Value slerp(const Napi::CallbackInfo& info) {
  const Tensor& a = floating_of(info[0], "a");
  const Tensor& b = tensor_of(info[1], "b", a.dtype);
  expect_same_shape(b, "b", a, "a");
  const double weight = weight_of(info[2], "weight");
  const int64_t n = a.shape.elements();
  Tensor out = a.device().empty(a.dtype, a.shape);
  const Tensor sums = a.device().empty(DType::f32, {2 * kSlerpSums});
  const Tensor scratch = workspace(a.device(), DType::f32, 2 * 3 * product_tiles(n));
  submit(info.Env(), {Op::slerp, a.dtype},
         bytes_of(SlerpArgs{a.data(), b.data(), out.data(), weight, n, sums.data<double>(), scratch.data<double>()}),
         {&a, &b}, {&out, &sums, &scratch});
  return TensorObject::wrap(info.Env(), std::move(out));
}

Napi::Array array_of(Napi::Env env, const double* numbers, uint32_t count) {
  Napi::Array array = Napi::Array::New(env, count);
  for (uint32_t i = 0; i < count; i++) array.Set(i, numbers[i]);
  return array;
}

// (a, b, dtype): [a·a, a·b, b·b] of typed arrays, now.
Napi::Value scalar_products_now(const Napi::CallbackInfo& info) {
  const DType dtype = host_dtype_of(info[2], "dtype");
  const Span<float> a = host_elements_of(info[0], "a", dtype), b = host_elements_of(info[1], "b", dtype, a.length);
  double sums[kSlerpSums];
  run_now({Op::slerp, dtype}, bytes_of(SlerpArgs{a.data, b.data, nullptr, 0, a.length, sums, nullptr}));
  return array_of(info.Env(), sums, 3);
}

// ([a·a, a·b, b·b], weight): [of a, of b]
Napi::Value slerp_factors(const Napi::CallbackInfo& info) {
  const std::vector<Napi::Value> list = inputs_of(info[0], "products");
  if (list.size() != 3) fail(CFGD_SHAPE, "products", "expected 3 numbers, got %zu", list.size());
  double products[3], factors[2];
  for (size_t i = 0; i < 3; i++) products[i] = number_of(list[i], "products");
  cfgd_status status{};
  if (explain_slerp(slerp_factors(products, weight_of(info[1], "weight"), factors), &status) != CFGD_OK)
    throw Error(status);
  return array_of(info.Env(), factors, 2);
}

}  // namespace

void export_merge(Napi::Object exports) {
  export_function<lerp_now>(exports, "lerpNow");
  export_function<lerp>(exports, "lerp");
  export_function<weighted_average_now>(exports, "weightedAverageNow");
  export_function<weighted_average>(exports, "weightedAverage");
  export_function<weighted_sum_now>(exports, "weightedSumNow");
  export_function<slerp_now>(exports, "slerpNow");
  export_function<slerp>(exports, "slerp");
  export_function<scalar_products_now>(exports, "scalarProductsNow");
  export_function<slerp_factors>(exports, "slerpFactors");
}

}  // namespace cfgd
