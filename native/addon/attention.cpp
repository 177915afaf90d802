#include "ops/nn/attention/attention.h"

#include "addon/arguments.h"
#include "addon/families.h"

namespace cfgd {
namespace {

/// qkv [rows, positions, 3, heads, head_dim]; `positions` −1 accepts any number.
const Tensor& qkv_of(const Napi::Value& value, int64_t positions, AttentionShape& shape) {
  const Tensor& qkv = tensor_of(value, "qkv", DType::f32, {-1, positions, 3, -1, -1});
  shape = {qkv.shape[0], qkv.shape[1], qkv.shape[3], qkv.shape[4]};
  if (!shape.heads || !shape.head_dim)
    fail(CFGD_SHAPE, "qkv", "expected at least one head of at least one dimension, got %s", qkv.shape.text().c_str());
  return qkv;
}

const Tensor& beside(const Tensor& qkv, const Napi::Value& value, const char* name, DType dtype,
                     std::initializer_list<int64_t> shape) {
  const Tensor& tensor = tensor_of(value, name, dtype, shape);
  expect_same_device(qkv, "qkv", tensor, name);
  return tensor;
}

const Tensor& cache_of(const Tensor& qkv, const Napi::Value& value, const AttentionShape& s) {
  return beside(qkv, value, "cache", DType::f32, {2, s.rows, s.heads, -1, s.head_dim});
}

// (qkv, starts, ends, causal): [out, lse]
Napi::Value attention_forward(const Napi::CallbackInfo& info) {
  AttentionForwardArgs args{};
  const Tensor& qkv = qkv_of(info[0], -1, args.shape);
  const AttentionShape& s = args.shape;
  const Tensor& starts = beside(qkv, info[1], "starts", DType::i32, {s.rows});
  const Tensor& ends = beside(qkv, info[2], "ends", DType::i32, {s.rows});
  args.causal = boolean_of(info[3], "causal");
  Tensor out = qkv.device().empty(DType::f32, {s.rows, s.positions, s.heads * s.head_dim});
  Tensor lse = qkv.device().empty(DType::f32, {s.rows, s.heads, s.positions});
  args.qkv = qkv.data();
  args.starts = starts.data<int32_t>();
  args.ends = ends.data<int32_t>();
  args.out = out.data();
  args.lse = lse.data();
  submit(info.Env(), Op::attention_forward, bytes_of(args), {&qkv, &starts, &ends}, {&out, &lse});
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  result.Set(0u, TensorObject::wrap(info.Env(), std::move(out)));
  result.Set(1u, TensorObject::wrap(info.Env(), std::move(lse)));
  return result;
}

// (qkv, starts, ends, causal, out, lse, gradOut): gradQkv
Napi::Value attention_backward(const Napi::CallbackInfo& info) {
  AttentionBackwardArgs args{};
  const Tensor& qkv = qkv_of(info[0], -1, args.shape);
  const AttentionShape& s = args.shape;
  const Tensor& starts = beside(qkv, info[1], "starts", DType::i32, {s.rows});
  const Tensor& ends = beside(qkv, info[2], "ends", DType::i32, {s.rows});
  args.causal = boolean_of(info[3], "causal");
  const Tensor& out = beside(qkv, info[4], "out", DType::f32, {s.rows, s.positions, s.heads * s.head_dim});
  const Tensor& lse = beside(qkv, info[5], "lse", DType::f32, {s.rows, s.heads, s.positions});
  const Tensor& grad_out = beside(qkv, info[6], "gradOut", DType::f32, {s.rows, s.positions, s.heads * s.head_dim});
  Tensor grad_qkv = qkv.device().empty(DType::f32, qkv.shape);
  args.qkv = qkv.data();
  args.starts = starts.data<int32_t>();
  args.ends = ends.data<int32_t>();
  args.out = out.data();
  args.lse = lse.data();
  args.grad_out = grad_out.data();
  args.grad_qkv = grad_qkv.data();
  submit(info.Env(), Op::attention_backward, bytes_of(args), {&qkv, &starts, &ends, &out, &lse, &grad_out},
         {&grad_qkv});
  return TensorObject::wrap(info.Env(), std::move(grad_qkv));
}

// (qkv, cache, position): in place on cache.
Napi::Value cache_write(const Napi::CallbackInfo& info) {
  CacheWriteArgs args{};
  const Tensor& qkv = qkv_of(info[0], -1, args.shape);
  const Tensor& cache = cache_of(qkv, info[1], args.shape);
  const Tensor& position = beside(qkv, info[2], "position", DType::i32, {1});
  args.qkv = qkv.data();
  args.cache = cache.data();
  args.capacity = cache.shape[3];
  args.position = position.data<int32_t>();
  submit(info.Env(), Op::cache_write, bytes_of(args), {&qkv, &cache, &position}, {&cache});
  return info.Env().Undefined();
}

// (qkv, cache, starts, position): out; cache is written in place.
Napi::Value attention_decode(const Napi::CallbackInfo& info) {
  AttentionDecodeArgs args{};
  const Tensor& qkv = qkv_of(info[0], 1, args.shape);
  const AttentionShape& s = args.shape;
  const Tensor& cache = cache_of(qkv, info[1], s);
  const Tensor& starts = beside(qkv, info[2], "starts", DType::i32, {s.rows});
  const Tensor& position = beside(qkv, info[3], "position", DType::i32, {1});
  Tensor out = qkv.device().empty(DType::f32, {s.rows, s.heads * s.head_dim});
  args.qkv = qkv.data();
  args.cache = cache.data();
  args.capacity = cache.shape[3];
  args.starts = starts.data<int32_t>();
  args.position = position.data<int32_t>();
  args.out = out.data();
  submit(info.Env(), Op::attention_decode, bytes_of(args), {&qkv, &cache, &starts, &position}, {&out, &cache});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (qkv, positions, base, inverse): out like qkv.
Napi::Value rotary(const Napi::CallbackInfo& info) {
  RotaryArgs args{};
  const Tensor& qkv = qkv_of(info[0], -1, args.shape);
  const AttentionShape& s = args.shape;
  if (s.head_dim % 2)
    fail(CFGD_SHAPE, "qkv", "expected an even head dimension, got %lld", static_cast<long long>(s.head_dim));
  const Tensor& positions = beside(qkv, info[1], "positions", DType::i32, {s.rows, s.positions});
  args.base = finite_of(info[2], "base");
  if (!(args.base >= 1)) fail(CFGD_VALUE, "base", "expected at least 1, got %g", args.base);
  args.inverse = boolean_of(info[3], "inverse");
  Tensor out = qkv.device().empty(DType::f32, qkv.shape);
  args.qkv = qkv.data();
  args.positions = positions.data<int32_t>();
  args.out = out.data();
  submit(info.Env(), Op::rotary, bytes_of(args), {&qkv, &positions}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

}  // namespace

void export_attention(Napi::Object exports) {
  export_function<attention_forward>(exports, "attentionForward");
  export_function<attention_backward>(exports, "attentionBackward");
  export_function<cache_write>(exports, "cacheWrite");
  export_function<attention_decode>(exports, "attentionDecode");
  export_function<rotary>(exports, "rotary");
}

}  // namespace cfgd
