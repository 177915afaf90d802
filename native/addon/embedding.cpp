#include "ops/nn/embedding/embedding.h"

#include "addon/families.h"
#include "addon/layers.h"
#include "ops/nn/embedding/workspace.h"

namespace cfgd {
namespace {

/// The type of what goes into or comes out of a layer whose parameters are float32.
DType elements_type(const Napi::Value& value) {
  if (is_absent(value)) return DType::f32;
  const DType type = dtype_of(value);
  if (type != DType::f32 && type != DType::bf16)
    fail(CFGD_DTYPE, "dtype", "expected float32 or bfloat16, got %s", name_of(type));
  return type;
}

// (table [vocab, n], ids int32 [...], dtype = float32): [..., n]
Napi::Value embedding_forward(const Napi::CallbackInfo& info) {
  const Tensor& table = tensor_of(info[0], "table", DType::f32, {-1, -1});
  const Tensor& ids = tensor_of(info[1], "ids", DType::i32);
  const DType type = elements_type(info[2]);
  expect_same_device(table, "table", ids, "ids");
  Shape shape = ids.shape;
  shape.push(table.shape[1]);
  Tensor out = table.device().empty(type, shape);
  const EmbeddingForwardArgs args{table.data(),         ids.data<int32_t>(), out.data(),
                                  ids.shape.elements(), table.shape[0],      table.shape[1]};
  submit(info.Env(), {Op::embedding_forward, type}, bytes_of(args), {&table, &ids}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (gradOut [..., n], ids int32 [...], vocab): [vocab, n]
Napi::Value embedding_backward(const Napi::CallbackInfo& info) {
  const Tensor& grad_out = elements_of(info[0], "gradOut");
  const Tensor& ids = tensor_of(info[1], "ids", DType::i32);
  const int64_t vocab = integer_of(info[2], "vocab", 1, INT32_MAX);
  const auto [rows, n] = rows_view(grad_out, "gradOut");
  Shape expected = ids.shape;
  expected.push(n);
  if (!(grad_out.shape == expected))
    fail(CFGD_SHAPE, "gradOut", "expected %s, got %s", expected.text().c_str(), grad_out.shape.text().c_str());
  expect_same_device(grad_out, "gradOut", ids, "ids");
  Tensor grad_table = grad_out.device().empty(DType::f32, {vocab, n});
  Tensor buckets = workspace(grad_out.device(), DType::i32, vocab + 1 + rows);
  Tensor partials = workspace(grad_out.device(), DType::f32, embedding_pieces(rows) * 2 * n);
  const EmbeddingBackwardArgs args{grad_out.data(),         ids.data<int32_t>(), grad_table.data(),
                                   buckets.data<int32_t>(), partials.data(),     rows,
                                   vocab,                   n};
  submit(info.Env(), {Op::embedding_backward, grad_out.dtype}, bytes_of(args), {&grad_out, &ids},
         {&grad_table, &buckets, &partials});
  return TensorObject::wrap(info.Env(), std::move(grad_table));
}

// (x [rows, positions, n], starts [rows], ends [rows]): [rows, n]
Napi::Value masked_mean_forward(const Napi::CallbackInfo& info) {
  const Tensor& x = elements_of(info[0], "x", {-1, -1, -1});
  const int64_t rows = x.shape[0], positions = x.shape[1], n = x.shape[2];
  const Tensor& starts = tensor_beside(info[1], "starts", DType::i32, {rows}, x, "x");
  const Tensor& ends = tensor_beside(info[2], "ends", DType::i32, {rows}, x, "x");
  Tensor out = x.device().empty(DType::f32, {rows, n});
  const MaskedMeanForwardArgs args{x.data(),   starts.data<int32_t>(), ends.data<int32_t>(), out.data(), rows,
                                   positions, n};
  submit(info.Env(), {Op::masked_mean_forward, x.dtype}, bytes_of(args), {&x, &starts, &ends}, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

// (gradOut [rows, n], starts [rows], ends [rows], positions, dtype = float32): [rows, positions, n]
Napi::Value masked_mean_backward(const Napi::CallbackInfo& info) {
  const Tensor& grad_out = tensor_of(info[0], "gradOut", DType::f32, {-1, -1});
  const int64_t rows = grad_out.shape[0], n = grad_out.shape[1];
  const Tensor& starts = tensor_beside(info[1], "starts", DType::i32, {rows}, grad_out, "gradOut");
  const Tensor& ends = tensor_beside(info[2], "ends", DType::i32, {rows}, grad_out, "gradOut");
  const int64_t positions = integer_of(info[3], "positions", 0, INT32_MAX);
  const DType type = elements_type(info[4]);
  Tensor grad_x = grad_out.device().empty(type, {rows, positions, n});
  const MaskedMeanBackwardArgs args{grad_out.data(), starts.data<int32_t>(), ends.data<int32_t>(), grad_x.data(),
                                    rows,            positions,              n};
  submit(info.Env(), {Op::masked_mean_backward, type}, bytes_of(args), {&grad_out, &starts, &ends}, {&grad_x});
  return TensorObject::wrap(info.Env(), std::move(grad_x));
}

}  // namespace

void export_embedding(Napi::Object exports) {
  export_function<embedding_forward>(exports, "embeddingForward");
  export_function<embedding_backward>(exports, "embeddingBackward");
  export_function<masked_mean_forward>(exports, "maskedMeanForward");
  export_function<masked_mean_backward>(exports, "maskedMeanBackward");
}

}  // namespace cfgd
