#include "addon/tensor_object.h"

#include "addon/arguments.h"
#include "addon/device.h"
#include "tensor/host_memory.h"

namespace cfgd {
namespace {

// Distinguishes our objects from any other wrapped object a caller may pass, also one of another copy of this library.
const napi_type_tag kTag = {0x8f3c1d5be2a94760, reinterpret_cast<uintptr_t>(&kTag)};

const void* bytes_of_array(const Napi::Value& value, const char* argument, const Tensor& tensor) {
  const int64_t elements = tensor.shape.elements();
  if (tensor.dtype == DType::i32) return ints_of(value, argument, elements).data;
  return host_elements_of(value, argument, tensor.dtype, elements).data;
}

Napi::Value typed_array(Napi::Env env, DType dtype, const char* data, uint64_t bytes) {
  const Environment& environment = Environment::of(env);
  const Napi::FunctionReference& make = dtype == DType::f32   ? environment.float32_array
                                        : dtype == DType::i32 ? environment.int32_array
                                                              : environment.uint16_array;
  Napi::Object array;
  try {
    array = make.New({Napi::Number::New(env, static_cast<double>(bytes / size_of(dtype)))});
  } catch (const Napi::Error&) {
    throw Error(CFGD_MEMORY, "", "out of memory: no " + std::to_string(bytes) + " bytes for an array to read into");
  }
  if (bytes) std::memcpy(array.As<Napi::TypedArray>().ArrayBuffer().Data(), data, bytes);
  return array;
}

Napi::Value create_tensor(const Napi::CallbackInfo& info) {  // (device, dtype, shape, data | undefined)
  Device& device = device_of(info[0]);
  Tensor tensor = device.lasting(dtype_of(info[1]), shape_of(info[2], "shape"));
  if (is_absent(info[3]))
    device.renew(tensor);
  else
    device.write(tensor, bytes_of_array(info[3], "data", tensor));
  return TensorObject::wrap(info.Env(), std::move(tensor));
}

/// What is not an operation cannot be part of a program: it would be done once, at the time of the recording.
void refuse_while_recording(const char* what) {
  if (Program::recording())
    fail(CFGD_VALUE, "program", "expected only operations while a program is recorded, got a %s", what);
}

}  // namespace

void TensorObject::define(Napi::Env env, Napi::Object exports) {
  Napi::Function made = DefineClass(
      env, "NativeTensor",
      {
          InstanceMethod("dispose", &TensorObject::dispose),
          InstanceMethod("disposed", &TensorObject::disposed),
          InstanceMethod("shape", &TensorObject::shape),
          InstanceMethod("dtype", &TensorObject::dtype),
          InstanceMethod("device", &TensorObject::device),
          InstanceMethod("view", &TensorObject::view),
          InstanceMethod("write", &TensorObject::write),
          InstanceMethod("read", &TensorObject::read),
      });
  Environment::of(env).tensor_class = Napi::Persistent(made);
  exports.Set("NativeTensor", made);
}

TensorObject::TensorObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TensorObject>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

TensorObject::~TensorObject() = default;

// Collected without dispose().
void TensorObject::Finalize(Napi::BasicEnv) { release(); }

void TensorObject::release() {
  if (!tensor_.storage) return;
  tensor_.storage.reset();
  external_memory_->remove(external_bytes_);
}

void TensorObject::adopt(Napi::Env env, Tensor tensor) {
  tensor_ = std::move(tensor);
  external_bytes_ = static_cast<int64_t>(tensor_.bytes());
  external_memory_ = Environment::of(env).external_memory;
  external_memory_->add(env, external_bytes_);
}

Napi::Value TensorObject::wrap(Napi::Env env, Tensor tensor) {
  Napi::Object object = Environment::of(env).tensor_class.New({});
  Napi::ObjectWrap<TensorObject>::Unwrap(object)->adopt(env, std::move(tensor));
  return object;
}

const Tensor& TensorObject::unwrap(const Napi::Value& value, const char* argument) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTag))
    fail(CFGD_VALUE, argument, "expected a Tensor");
  const TensorObject* object = Napi::ObjectWrap<TensorObject>::Unwrap(value.As<Napi::Object>());
  if (!object->tensor_.storage) fail(CFGD_VALUE, argument, "the tensor was disposed");
  return object->tensor_;
}

Napi::Value TensorObject::dispose(const Napi::CallbackInfo& info) {
  release();
  return info.Env().Undefined();
}

Napi::Value TensorObject::disposed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), !tensor_.storage);
}

Napi::Value TensorObject::shape(const Napi::CallbackInfo& info) {
  Napi::Array shape = Napi::Array::New(info.Env(), tensor_.shape.rank());
  for (int i = 0; i < tensor_.shape.rank(); i++) shape.Set(i, static_cast<double>(tensor_.shape[i]));
  return shape;
}

Napi::Value TensorObject::dtype(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), name_of(tensor_.dtype));
}

Napi::Value TensorObject::device(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), unwrap(info.This(), "tensor").device().id());
  });
}

// (shape, offset in elements): the same memory under another shape.
Napi::Value TensorObject::view(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    Tensor view = unwrap(info.This(), "tensor");
    const int64_t have = view.shape.elements();
    const Shape shape = shape_of(info[0], "shape");
    const int64_t offset = integer_of(info[1], "offset", 0, have);
    if (shape.elements() > have - offset)
      fail(CFGD_SHAPE, "shape", "expected at most %lld elements at offset %lld, got %s",
           static_cast<long long>(have - offset), static_cast<long long>(offset), shape.text().c_str());
    view.shape = shape;
    view.offset += static_cast<uint64_t>(offset) * size_of(view.dtype);
    return wrap(info.Env(), std::move(view));
  });
}

Napi::Value TensorObject::write(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    refuse_while_recording("write()");
    const Tensor& tensor = unwrap(info.This(), "tensor");
    tensor.device().write(tensor, bytes_of_array(info[0], "data", tensor));
    return info.Env().Undefined();
  });
}

Napi::Value TensorObject::read(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    refuse_while_recording("read()");
    const Tensor tensor = unwrap(info.This(), "tensor");
    const uint64_t bytes = tensor.bytes();
    const std::shared_ptr<char[]> host = host_memory(bytes, "to read into");
    return promised(
        info.Env(), tensor.device(),
        [tensor, host] { return tensor.device().read(tensor, host.get()); },
        [host, bytes, dtype = tensor.dtype](Napi::Env env) { return typed_array(env, dtype, host.get(), bytes); });
  });
}

void export_tensors(Napi::Object exports) { export_function<create_tensor>(exports, "createTensor"); }

}  // namespace cfgd
