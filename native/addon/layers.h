// What the bindings of layers share: rows along the last dimension, and returning several tensors.
#pragma once
#include <initializer_list>

#include "addon/arguments.h"

namespace cfgd {

/// A tensor of any rank ≥ 1 seen as [rows, n], n being its last dimension.
struct RowsView {
  int64_t rows, n;
};

/// Throws CFGD_SHAPE for a tensor without dimensions or with an empty last one.
inline RowsView rows_view(const Tensor& tensor, const char* argument) {
  const Shape& shape = tensor.shape;
  if (shape.rank() < 1 || shape[-1] < 1)
    fail(CFGD_SHAPE, argument, "expected [..., n] with n at least 1, got %s", shape.text().c_str());
  return {shape.elements() / shape[-1], shape[-1]};
}

/// A tensor of a type and of exactly this shape, on the device of `other`.
inline const Tensor& tensor_like(const Napi::Value& value, const char* argument, const Shape& shape,
                                 const Tensor& other, const char* other_name, DType dtype = DType::f32) {
  const Tensor& tensor = tensor_of(value, argument, dtype);
  if (!(tensor.shape == shape))
    fail(CFGD_SHAPE, argument, "expected %s, got %s", shape.text().c_str(), tensor.shape.text().c_str());
  expect_same_device(other, other_name, tensor, argument);
  return tensor;
}

/// A tensor of a type and shape (−1: any size), on the device of `other`.
inline const Tensor& tensor_beside(const Napi::Value& value, const char* argument, DType dtype,
                                   std::initializer_list<int64_t> shape, const Tensor& other, const char* other_name) {
  const Tensor& tensor = tensor_of(value, argument, dtype, shape);
  expect_same_device(other, other_name, tensor, argument);
  return tensor;
}

/// Memory that the kernels of an operation share on CUDA; none on the CPU. An output of the operation.
inline Tensor workspace(Device& device, DType dtype, int64_t elements) {
  return device.empty(dtype, {&device == &Device::cpu() ? 0 : elements});
}

/// A JavaScript array of tensors; a null pointer becomes null.
inline Napi::Value tensor_list(Napi::Env env, std::initializer_list<Tensor*> tensors) {
  Napi::Array list = Napi::Array::New(env, tensors.size());
  uint32_t i = 0;
  for (Tensor* tensor : tensors) {
    if (tensor)
      list.Set(i++, TensorObject::wrap(env, *tensor));
    else
      list.Set(i++, env.Null());
  }
  return list;
}

}  // namespace cfgd
