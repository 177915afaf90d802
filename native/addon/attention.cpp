#include "ops/nn/attention/attention.h"

#include "addon/families.h"
#include "addon/layers.h"

namespace cfgd {
namespace {

/// qkv [rows, positions, 3, heads, head_dim]; `positions` −1 accepts any number.
const Tensor& qkv_of(const Napi::Value& value, int64_t positions, QkvShape& shape) {
  const Tensor& qkv = elements_of(value, "qkv", {-1, positions, 3, -1, -1});
  shape = {qkv.shape[0], qkv.shape[1], qkv.shape[3], qkv.shape[4]};
  if (!shape.heads || !shape.head_dim)
    fail(CFGD_SHAPE, "qkv", "expected at least one head of at least one dimension, got %s", qkv.shape.text().c_str());
  return qkv;
}

const Tensor& cache_of(const Tensor& qkv, const Napi::Value& value, const QkvShape& s) {
  return tensor_beside(value, "cache", qkv.dtype, {2, s.rows, s.heads, -1, s.head_dim}, qkv, "qkv");
}

/// Where element `index` of a tensor lies, whatever its type.
float* element(const Tensor& tensor, int64_t index) {
  return reinterpret_cast<float*>(tensor.data<char>() + index * static_cast<int64_t>(size_of(tensor.dtype)));
}

/// The tensors that queries, keys and values are in, and where. q and kv are one tensor in self-attention.
struct Sources {
  const Tensor &q, &kv;
  const char* name;  // of q
  AttentionShape shape;
  int64_t q_step, kv_step;
  int64_t k, v;  // where keys and values begin in kv, in elements
};

Sources packed_sources(const Napi::Value& value) {
  QkvShape s;
  const Tensor& qkv = qkv_of(value, -1, s);
  const int64_t width = s.heads * s.head_dim;
  return {qkv, qkv, "qkv", {s.rows, s.positions, s.positions, s.heads, s.head_dim}, 3 * width, 3 * width, width, 2 * width};
}

Sources cross_sources(const Napi::Value& q_value, const Napi::Value& kv_value) {
  const Tensor& q = elements_of(q_value, "q", {-1, -1, -1, -1});
  const int64_t rows = q.shape[0], heads = q.shape[2], head_dim = q.shape[3], width = heads * head_dim;
  if (!heads || !head_dim)
    fail(CFGD_SHAPE, "q", "expected at least one head of at least one dimension, got %s", q.shape.text().c_str());
  const Tensor& kv = tensor_beside(kv_value, "kv", q.dtype, {rows, -1, 2, heads, head_dim}, q, "q");
  return {q, kv, "q", {rows, q.shape[1], kv.shape[1], heads, head_dim}, width, 2 * width, 0, width};
}

/// What forward and backward passes are told alike.
template <class Args>
void describe(const Sources& from, const Tensor& starts, const Tensor& ends, bool causal, Args& args) {
  args.q = from.q.data();
  args.k = element(from.kv, from.k);
  args.v = element(from.kv, from.v);
  args.q_step = from.q_step;
  args.kv_step = from.kv_step;
  args.starts = starts.data<int32_t>();
  args.ends = ends.data<int32_t>();
  args.shape = from.shape;
  args.causal = causal;
}

const Tensor& range_of(const Sources& from, const Napi::Value& value, const char* name) {
  return tensor_beside(value, name, DType::i32, {from.shape.rows}, from.q, from.name);
}

/// [out, lse]
Napi::Value forward(Napi::Env env, const Sources& from, const Tensor& starts, const Tensor& ends, bool causal) {
  const AttentionShape& s = from.shape;
  Device& device = from.q.device();
  Tensor out = device.empty(from.q.dtype, {s.rows, s.queries, s.heads * s.head_dim});
  Tensor lse = device.empty(DType::f32, {s.rows, s.heads, s.queries});
  AttentionForwardArgs args{};
  describe(from, starts, ends, causal, args);
  args.out = out.data();
  args.lse = lse.data();
  submit(env, {Op::attention_forward, from.q.dtype}, bytes_of(args), {&from.q, &from.kv, &starts, &ends}, {&out, &lse});
  return tensor_list(env, {&out, &lse});
}

/// Fills the gradients of q and kv; the arguments from `index` on are out, lse and gradOut.
void backward(const Napi::CallbackInfo& info, size_t index, const Sources& from, const Tensor& starts,
              const Tensor& ends, bool causal, const Tensor& grad_q, const Tensor& grad_kv) {
  const AttentionShape& s = from.shape;
  const DType type = from.q.dtype;
  const int64_t width = s.heads * s.head_dim;
  const Tensor& out = tensor_beside(info[index], "out", type, {s.rows, s.queries, width}, from.q, from.name);
  const Tensor& lse = tensor_beside(info[index + 1], "lse", DType::f32, {s.rows, s.heads, s.queries}, from.q, from.name);
  const Tensor& grad_out =
      tensor_beside(info[index + 2], "gradOut", type, {s.rows, s.queries, width}, from.q, from.name);
  const Tensor delta = from.q.device().empty(DType::f32, {s.rows, s.heads, s.queries});
  AttentionBackwardArgs args{};
  describe(from, starts, ends, causal, args);
  args.out = out.data();
  args.lse = lse.data();
  args.grad_out = grad_out.data();
  args.grad_q = grad_q.data();
  args.grad_k = element(grad_kv, from.k);
  args.grad_v = element(grad_kv, from.v);
  args.delta = delta.data();
  submit(info.Env(), {Op::attention_backward, type}, bytes_of(args),
         {&from.q, &from.kv, &starts, &ends, &out, &lse, &grad_out}, {&grad_q, &grad_kv, &delta});
}

// (qkv, starts, ends, causal): [out, lse]
Napi::Value attention_forward(const Napi::CallbackInfo& info) {
  const Sources from = packed_sources(info[0]);
  const Tensor &starts = range_of(from, info[1], "starts"), &ends = range_of(from, info[2], "ends");
  return forward(info.Env(), from, starts, ends, boolean_of(info[3], "causal"));
}

// (q, kv, starts, ends): [out, lse]
Napi::Value cross_attention_forward(const Napi::CallbackInfo& info) {
  const Sources from = cross_sources(info[0], info[1]);
  const Tensor &starts = range_of(from, info[2], "starts"), &ends = range_of(from, info[3], "ends");
  return forward(info.Env(), from, starts, ends, false);
}

// (qkv, starts, ends, causal, out, lse, gradOut): gradQkv
Napi::Value attention_backward(const Napi::CallbackInfo& info) {
  const Sources from = packed_sources(info[0]);
  const Tensor &starts = range_of(from, info[1], "starts"), &ends = range_of(from, info[2], "ends");
  const bool causal = boolean_of(info[3], "causal");
  Tensor grad_qkv = from.q.device().empty(from.q.dtype, from.q.shape);
  backward(info, 4, from, starts, ends, causal, grad_qkv, grad_qkv);
  return TensorObject::wrap(info.Env(), std::move(grad_qkv));
}

// (q, kv, starts, ends, out, lse, gradOut): [gradQ, gradKv]
Napi::Value cross_attention_backward(const Napi::CallbackInfo& info) {
  const Sources from = cross_sources(info[0], info[1]);
  const Tensor &starts = range_of(from, info[2], "starts"), &ends = range_of(from, info[3], "ends");
  Tensor grad_q = from.q.device().empty(from.q.dtype, from.q.shape);
  Tensor grad_kv = from.kv.device().empty(from.kv.dtype, from.kv.shape);
  backward(info, 4, from, starts, ends, false, grad_q, grad_kv);
  return tensor_list(info.Env(), {&grad_q, &grad_kv});
}

// (qkv, cache, position): in place on cache.
Napi::Value cache_write(const Napi::CallbackInfo& info) {
  CacheWriteArgs args{};
  const Tensor& qkv = qkv_of(info[0], -1, args.shape);
  const Tensor& cache = cache_of(qkv, info[1], args.shape);
  const Tensor& position = tensor_beside(info[2], "position", DType::i32, {1}, qkv, "qkv");
  args.qkv = qkv.data();
  args.cache = cache.data();
  args.capacity = cache.shape[3];
  args.position = position.data<int32_t>();
  submit(info.Env(), {Op::cache_write, qkv.dtype}, bytes_of(args), {&qkv, &cache, &position}, {&cache});
  return info.Env().Undefined();
}

// (qkv, cache, starts, position): out; cache is written in place.
Napi::Value attention_decode(const Napi::CallbackInfo& info) {
  AttentionDecodeArgs args{};
  const Tensor& qkv = qkv_of(info[0], 1, args.shape);
  const QkvShape& s = args.shape;
  const Tensor& cache = cache_of(qkv, info[1], s);
  const Tensor& starts = tensor_beside(info[2], "starts", DType::i32, {s.rows}, qkv, "qkv");
  const Tensor& position = tensor_beside(info[3], "position", DType::i32, {1}, qkv, "qkv");
  Tensor out = qkv.device().empty(qkv.dtype, {s.rows, s.heads * s.head_dim});
  args.qkv = qkv.data();
  args.cache = cache.data();
  args.capacity = cache.shape[3];
  args.starts = starts.data<int32_t>();
  args.position = position.data<int32_t>();
  args.out = out.data();
  const Tensor partial =
      qkv.device().empty(DType::f32, {s.rows, s.heads, decode_parts(args.capacity), s.head_dim + 2});
  args.partial = partial.data();
  submit(info.Env(), {Op::attention_decode, qkv.dtype}, bytes_of(args), {&qkv, &cache, &starts, &position},
         {&out, &cache, &partial});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (qkv, positions, base, inverse): out like qkv.
Napi::Value rotary(const Napi::CallbackInfo& info) {
  RotaryArgs args{};
  const Tensor& qkv = qkv_of(info[0], -1, args.shape);
  const QkvShape& s = args.shape;
  if (s.head_dim % 2)
    fail(CFGD_SHAPE, "qkv", "expected an even head dimension, got %lld", static_cast<long long>(s.head_dim));
  const Tensor& positions = tensor_beside(info[1], "positions", DType::i32, {s.rows, s.positions}, qkv, "qkv");
  args.base = finite_of(info[2], "base");
  if (!(args.base >= 1)) fail(CFGD_VALUE, "base", "expected at least 1, got %g", args.base);
  args.inverse = boolean_of(info[3], "inverse");
  Tensor out = qkv.device().empty(qkv.dtype, qkv.shape);
  args.qkv = qkv.data();
  args.positions = positions.data<int32_t>();
  args.out = out.data();
  submit(info.Env(), {Op::rotary, qkv.dtype}, bytes_of(args), {&qkv, &positions}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

}  // namespace

void export_attention(Napi::Object exports) {
  export_function<attention_forward>(exports, "attentionForward");
  export_function<attention_backward>(exports, "attentionBackward");
  export_function<cross_attention_forward>(exports, "crossAttentionForward");
  export_function<cross_attention_backward>(exports, "crossAttentionBackward");
  export_function<cache_write>(exports, "cacheWrite");
  export_function<attention_decode>(exports, "attentionDecode");
  export_function<rotary>(exports, "rotary");
}

}  // namespace cfgd
