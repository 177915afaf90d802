#include "ops/nn/elementwise/elementwise.h"

#include <cmath>

#include "addon/families.h"
#include "addon/layers.h"
#include "ops/nn/elementwise/workspace.h"
#include "tensor/element.h"

namespace cfgd {
namespace {

/// What fill writes: the bits of an int32 or of a float32, which is rounded for bfloat16.
uint32_t filling(const Napi::Value& value, DType dtype) {
  if (dtype == DType::i32)
    return static_cast<uint32_t>(static_cast<int32_t>(integer_of(value, "value", INT32_MIN, INT32_MAX)));
  if (dtype == DType::f16) fail(CFGD_DTYPE, "target", "expected float32, bfloat16 or int32, got %s", name_of(dtype));
  const double number = number_of(value, "value");
  const auto real = static_cast<float>(number);
  const float stored = dtype == DType::bf16 ? widened(narrowed<bf16>(real)) : real;
  if (std::isinf(stored) && std::isfinite(number))
    fail(CFGD_VALUE, "value", "expected a number in the range of %s, got %g", name_of(dtype), number);
  return bits_of(real);
}

/// float32 and int32 share the variants that only move words.
DType word_type(DType dtype) { return dtype == DType::bf16 ? DType::bf16 : DType::f32; }

// (target, value): in place.
Napi::Value fill(const Napi::CallbackInfo& info) {
  const Tensor& target = TensorObject::unwrap(info[0], "target");
  const FillArgs args{target.data<uint32_t>(), filling(info[1], target.dtype), target.shape.elements()};
  // Filling all of a storage makes it valid again whatever it held; the rest of a view's storage keeps its poison.
  std::vector<const Tensor*> inputs;
  if (target.bytes() != target.storage->bytes()) inputs.push_back(&target);
  submit(info.Env(), {Op::fill, word_type(target.dtype)}, bytes_of(args), inputs, {&target});
  return info.Env().Undefined();
}

Napi::Value add(const Napi::CallbackInfo& info) {
  const Tensor& a = elements_of(info[0], "a");
  const Tensor& b = tensor_like(info[1], "b", a.shape, a, "a", a.dtype);
  Tensor out = a.device().empty(a.dtype, a.shape);
  const AddArgs args{a.data(), b.data(), out.data(), a.shape.elements()};
  submit(info.Env(), {Op::add, a.dtype}, bytes_of(args), {&a, &b}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (target, source, factor): in place on target.
Napi::Value accumulate(const Napi::CallbackInfo& info) {
  const Tensor& target = elements_of(info[0], "target");
  const Tensor& source = tensor_like(info[1], "source", target.shape, target, "target", target.dtype);
  const char *t = target.data<char>(), *s = source.data<char>();
  if (t != s && t < s + source.bytes() && s < t + target.bytes())
    fail(CFGD_VALUE, "source", "expected memory of its own or exactly that of target, got a partial overlap");
  const AccumulateArgs args{target.data(), source.data(), finite_of(info[2], "factor"), target.shape.elements()};
  submit(info.Env(), {Op::accumulate, target.dtype}, bytes_of(args), {&target, &source}, {&target});
  return info.Env().Undefined();
}

Napi::Value scale(const Napi::CallbackInfo& info) {
  const Tensor& x = elements_of(info[0], "x");
  const float factor = finite_of(info[1], "factor");
  Tensor out = x.device().empty(x.dtype, x.shape);
  const ScaleArgs args{x.data(), out.data(), factor, x.shape.elements()};
  submit(info.Env(), {Op::scale, x.dtype}, bytes_of(args), {&x}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

Napi::Value sum_rows(const Napi::CallbackInfo& info) {
  const Tensor& x = elements_of(info[0], "x", {-1, -1});
  const int64_t rows = x.shape[0], n = x.shape[1], chunks = sum_rows_chunks(rows, n, size_of(x.dtype));
  Tensor out = x.device().empty(DType::f32, {n});
  Tensor partials = workspace(x.device(), DType::f32, chunks > 1 ? chunks * n : 0);
  const SumRowsArgs args{x.data(), out.data(), partials.data(), rows, n};
  submit(info.Env(), {Op::sum_rows, x.dtype}, bytes_of(args), {&x}, {&out, &partials});
  return TensorObject::wrap(info.Env(), std::move(out));
}

Napi::Value sum_all(const Napi::CallbackInfo& info) {
  const Tensor& x = tensor_of(info[0], "x", DType::f32);
  const int64_t n = x.shape.elements(), chunks = sum_all_chunks(n);
  Tensor out = x.device().empty(DType::f32, {1});
  constexpr int64_t kFloats = sizeof(double) / sizeof(float);
  Tensor partials = workspace(x.device(), DType::f32, chunks > 1 ? chunks * kFloats : 0);
  const SumAllArgs args{x.data(), out.data(), partials.data<double>(), n};
  submit(info.Env(), Op::sum_all, bytes_of(args), {&x}, {&out, &partials});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (x: Float32Array): its sum, now. Reads x once and does little else: what the benchmarks hold reading kernels against.
Napi::Value sum_now(const Napi::CallbackInfo& info) {
  const Span<float> x = floats_of(info[0], "x");
  float sum = 0;
  run_now(Op::sum_all, bytes_of(SumAllArgs{x.data, &sum, nullptr, x.length}));
  return Napi::Number::New(info.Env(), sum);
}

// (x [rows, …], times): float32, int32 or bfloat16.
Napi::Value repeat_rows(const Napi::CallbackInfo& info) {
  const Tensor& x = TensorObject::unwrap(info[0], "x");
  if (x.dtype == DType::f16) fail(CFGD_DTYPE, "x", "expected float32, bfloat16 or int32, got %s", name_of(x.dtype));
  if (x.shape.rank() < 1) fail(CFGD_SHAPE, "x", "expected [rows, ...], got []");
  const int64_t times = integer_of(info[1], "times", 1, INT32_MAX);
  const int64_t rows = x.shape[0];
  if (rows > Shape::kMaxElements / times) fail(CFGD_SHAPE, "times", "expected at most 2^40 rows in all");
  Shape shape{rows * times};
  for (int i = 1; i < x.shape.rank(); i++) shape.push(x.shape[i]);
  Tensor out = x.device().empty(x.dtype, shape);
  const int64_t n = rows ? x.shape.elements() / rows : 0;
  const RepeatRowsArgs args{x.data<uint32_t>(), out.data<uint32_t>(), rows, n, times};
  submit(info.Env(), {Op::repeat_rows, word_type(x.dtype)}, bytes_of(args), {&x}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (x, probability, seed, stream)
Napi::Value dropout(const Napi::CallbackInfo& info) {
  const Tensor& x = elements_of(info[0], "x");
  const double probability = number_of(info[1], "probability");
  if (!(probability >= 0 && probability < 1))
    fail(CFGD_VALUE, "probability", "expected at least 0 and less than 1, got %g", probability);
  const uint64_t seed = seed_of(info[2], "seed"), stream = seed_of(info[3], "stream");
  const int64_t n = x.shape.elements();
  if (n > int64_t{1} << 34) fail(CFGD_SHAPE, "x", "expected at most 2^34 elements, got %s", x.shape.text().c_str());
  Tensor out = x.device().empty(x.dtype, x.shape);
  const DropoutArgs args{x.data(), out.data(), probability, seed, stream, n};
  submit(info.Env(), {Op::dropout, x.dtype}, bytes_of(args), {&x}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (x, dtype): the elements as float32, float16 or bfloat16.
Napi::Value cast(const Napi::CallbackInfo& info) {
  const Tensor& x = TensorObject::unwrap(info[0], "x");
  const DType to = dtype_of(info[1]);
  constexpr const char* kExpected = "expected float32, float16 or bfloat16, got %s";
  if (x.dtype == DType::i32) fail(CFGD_DTYPE, "x", kExpected, name_of(x.dtype));
  if (to == DType::i32) fail(CFGD_DTYPE, "dtype", kExpected, name_of(to));
  Tensor out = x.device().empty(to, x.shape);
  const CastArgs args{x.data<void>(), out.data<void>(), x.dtype, to, x.shape.elements()};
  submit(info.Env(), Op::cast, bytes_of(args), {&x}, {&out});
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
  export_function<sum_now>(exports, "sumNow");
  export_function<repeat_rows>(exports, "repeatRows");
  export_function<dropout>(exports, "dropout");
  export_function<cast>(exports, "cast");
  export_function<row_positions>(exports, "rowPositions");
  export_function<advance>(exports, "advance");
}

}  // namespace cfgd
