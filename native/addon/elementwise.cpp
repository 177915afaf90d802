#include "ops/nn/elementwise/elementwise.h"

#include <cmath>

#include "addon/families.h"
#include "addon/layers.h"

namespace cfgd {
namespace {

uint32_t bits_of(const Napi::Value& value, DType dtype) {
  uint32_t bits;
  if (dtype == DType::i32) {
    const auto integer = static_cast<int32_t>(integer_of(value, "value", INT32_MIN, INT32_MAX));
    std::memcpy(&bits, &integer, 4);
    return bits;
  }
  if (dtype != DType::f32) fail(CFGD_DTYPE, "target", "expected float32 or int32, got %s", name_of(dtype));
  const double number = number_of(value, "value");
  const auto real = static_cast<float>(number);
  if (std::isinf(real) && std::isfinite(number))
    fail(CFGD_VALUE, "value", "expected a number in the range of float32, got %g", number);
  std::memcpy(&bits, &real, 4);
  return bits;
}

// (target, value): in place.
Napi::Value fill(const Napi::CallbackInfo& info) {
  const Tensor& target = TensorObject::unwrap(info[0], "target");
  const FillArgs args{target.data<uint32_t>(), bits_of(info[1], target.dtype), target.shape.elements()};
  // Filling all of a storage makes it valid again whatever it held; the rest of a view's storage keeps its poison.
  std::vector<const Tensor*> inputs;
  if (target.bytes() != target.storage->bytes()) inputs.push_back(&target);
  submit(info.Env(), Op::fill, bytes_of(args), inputs, {&target});
  return info.Env().Undefined();
}

Napi::Value add(const Napi::CallbackInfo& info) {
  const Tensor& a = tensor_of(info[0], "a", DType::f32);
  const Tensor& b = tensor_like(info[1], "b", a.shape, a, "a");
  Tensor out = a.device().empty(DType::f32, a.shape);
  submit(info.Env(), Op::add, bytes_of(AddArgs{a.data(), b.data(), out.data(), a.shape.elements()}), {&a, &b}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (target, source, factor): in place on target.
Napi::Value accumulate(const Napi::CallbackInfo& info) {
  const Tensor& target = tensor_of(info[0], "target", DType::f32);
  const Tensor& source = tensor_like(info[1], "source", target.shape, target, "target");
  const int64_t n = target.shape.elements();
  const float *t = target.data(), *s = source.data();
  if (t != s && t < s + n && s < t + n)
    fail(CFGD_VALUE, "source", "expected memory of its own or exactly that of target, got a partial overlap");
  const AccumulateArgs args{target.data(), s, finite_of(info[2], "factor"), n};
  submit(info.Env(), Op::accumulate, bytes_of(args), {&target, &source}, {&target});
  return info.Env().Undefined();
}

Napi::Value scale(const Napi::CallbackInfo& info) {
  const Tensor& x = tensor_of(info[0], "x", DType::f32);
  const float factor = finite_of(info[1], "factor");
  Tensor out = x.device().empty(DType::f32, x.shape);
  submit(info.Env(), Op::scale, bytes_of(ScaleArgs{x.data(), out.data(), factor, x.shape.elements()}), {&x}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

Napi::Value sum_rows(const Napi::CallbackInfo& info) {
  const Tensor& x = tensor_of(info[0], "x", DType::f32, {-1, -1});
  Tensor out = x.device().empty(DType::f32, {x.shape[1]});
  submit(info.Env(), Op::sum_rows, bytes_of(SumRowsArgs{x.data(), out.data(), x.shape[0], x.shape[1]}), {&x}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

Napi::Value sum_all(const Napi::CallbackInfo& info) {
  const Tensor& x = tensor_of(info[0], "x", DType::f32);
  Tensor out = x.device().empty(DType::f32, {1});
  submit(info.Env(), Op::sum_all, bytes_of(SumAllArgs{x.data(), out.data(), x.shape.elements()}), {&x}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (x [rows, …], times): float32 or int32.
Napi::Value repeat_rows(const Napi::CallbackInfo& info) {
  const Tensor& x = TensorObject::unwrap(info[0], "x");
  if (x.dtype != DType::f32 && x.dtype != DType::i32)
    fail(CFGD_DTYPE, "x", "expected float32 or int32, got %s", name_of(x.dtype));
  if (x.shape.rank() < 1) fail(CFGD_SHAPE, "x", "expected [rows, ...], got []");
  const int64_t times = integer_of(info[1], "times", 1, INT32_MAX);
  const int64_t rows = x.shape[0];
  Shape shape{rows * times};
  for (int i = 1; i < x.shape.rank(); i++) shape.push(x.shape[i]);
  Tensor out = x.device().empty(x.dtype, shape);
  const int64_t n = rows ? x.shape.elements() / rows : 0;
  const RepeatRowsArgs args{x.data<uint32_t>(), out.data<uint32_t>(), rows, n, times};
  submit(info.Env(), Op::repeat_rows, bytes_of(args), {&x}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (x, probability, seed, stream)
Napi::Value dropout(const Napi::CallbackInfo& info) {
  const Tensor& x = tensor_of(info[0], "x", DType::f32);
  const double probability = number_of(info[1], "probability");
  if (!(probability >= 0 && probability < 1))
    fail(CFGD_VALUE, "probability", "expected at least 0 and less than 1, got %g", probability);
  const uint64_t seed = seed_of(info[2], "seed"), stream = seed_of(info[3], "stream");
  const int64_t n = x.shape.elements();
  if (n > int64_t{1} << 34) fail(CFGD_SHAPE, "x", "expected at most 2^34 elements, got %s", x.shape.text().c_str());
  Tensor out = x.device().empty(DType::f32, x.shape);
  submit(info.Env(), Op::dropout, bytes_of(DropoutArgs{x.data(), out.data(), probability, seed, stream, n}), {&x},
         {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (starts [rows], position [1])
Napi::Value row_positions(const Napi::CallbackInfo& info) {
  const Tensor& starts = tensor_of(info[0], "starts", DType::i32, {-1});
  const Tensor& position = tensor_beside(info[1], "position", DType::i32, {1}, starts, "starts");
  Tensor out = starts.device().empty(DType::i32, starts.shape);
  const RowPositionsArgs args{starts.data<int32_t>(), position.data<int32_t>(), out.data<int32_t>(), starts.shape[0]};
  submit(info.Env(), Op::row_positions, bytes_of(args), {&starts, &position}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (counter [1], by): in place.
Napi::Value advance(const Napi::CallbackInfo& info) {
  const Tensor& counter = tensor_of(info[0], "counter", DType::i32, {1});
  const AdvanceArgs args{counter.data<int32_t>(),
                         static_cast<int32_t>(integer_of(info[1], "by", INT32_MIN, INT32_MAX))};
  submit(info.Env(), Op::advance, bytes_of(args), {&counter}, {&counter});
  return info.Env().Undefined();
}

}  // namespace

void export_elementwise(Napi::Object exports) {
  export_function<fill>(exports, "fill");
  export_function<add>(exports, "add");
  export_function<accumulate>(exports, "accumulate");
  export_function<scale>(exports, "scale");
  export_function<sum_rows>(exports, "sumRows");
  export_function<sum_all>(exports, "sumAll");
  export_function<repeat_rows>(exports, "repeatRows");
  export_function<dropout>(exports, "dropout");
  export_function<row_positions>(exports, "rowPositions");
  export_function<advance>(exports, "advance");
}

}  // namespace cfgd
