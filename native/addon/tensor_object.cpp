#include "addon/tensor_object.h"

#include "addon/arguments.h"

namespace cfgd {
namespace {

// Distinguishes our objects from any other wrapped object a caller may pass.
constexpr napi_type_tag kTag = {0x8f3c1d5be2a94760, 0xb1d7c04ea6f35298};

const void* bytes_of_array(const Napi::Value& value, const char* argument, const Tensor& tensor) {
  const int64_t elements = tensor.shape.elements();
  if (tensor.dtype == DType::f32) return floats_of(value, argument, elements).data;
  if (tensor.dtype == DType::i32) return ints_of(value, argument, elements).data;
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint16_array ||
      static_cast<int64_t>(value.As<Napi::TypedArray>().ElementLength()) != elements)
    fail(CFGD_DTYPE, argument, "expected a Uint16Array of %lld elements", static_cast<long long>(elements));
  return value.As<Napi::Uint16Array>().Data();
}

Napi::Value typed_array(Napi::Env env, DType dtype, const char* data, uint64_t bytes) {
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, bytes);
  if (bytes) std::memcpy(buffer.Data(), data, bytes);
  switch (dtype) {
    case DType::f32: return Napi::Float32Array::New(env, bytes / 4, buffer, 0);
    case DType::i32: return Napi::Int32Array::New(env, bytes / 4, buffer, 0);
    default: return Napi::Uint16Array::New(env, bytes / 2, buffer, 0);
  }
}

Device& device_of(const Napi::Value& value) {
  const std::string id = string_of(value, "device");
  if (id == "cpu") return Device::cpu();
  if (id.rfind("cuda:", 0) == 0 && id.size() > 5 && id.size() < 9 &&
      id.find_first_not_of("0123456789", 5) == std::string::npos)
    return Device::cuda(std::stoi(id.substr(5)));
  fail(CFGD_DEVICE, "device", "expected 'cpu' or 'cuda:<index>', got '%s'", id.c_str());
}

Napi::Value create_tensor(const Napi::CallbackInfo& info) {  // (device, dtype, shape, data | undefined)
  Device& device = device_of(info[0]);
  Tensor tensor = device.empty(dtype_of(info[1]), shape_of(info[2], "shape"));
  if (!is_absent(info[3])) device.write(tensor, bytes_of_array(info[3], "data", tensor));
  return TensorObject::wrap(info.Env(), std::move(tensor));
}

Napi::Value device_name(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), device_of(info[0]).name());
}

Napi::Value cuda_count(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Device::cuda_count());
}

// Posts to the queue a job whose outcome settles a promise on this thread.
template <class Job, class Resolve>
Napi::Value promised(Napi::Env env, Device& device, Job job, Resolve resolve) {
  auto deferred = std::make_shared<Napi::Promise::Deferred>(env);
  std::shared_ptr<Mailbox> mailbox = Environment::of(env).mailbox;
  mailbox->expect();
  device.queue().push([mailbox, deferred, job = std::move(job), resolve = std::move(resolve)]() mutable {
    std::shared_ptr<const Error> error = job();
    mailbox->post([deferred = std::move(deferred), error, resolve = std::move(resolve)](Napi::Env env) {
      if (error) return deferred->Reject(to_js(env, *error));
      try {
        deferred->Resolve(resolve(env));
      } catch (const Napi::Error& failure) {  // no memory for the result
        deferred->Reject(failure.Value());
      }
    });
  });
  return deferred->Promise();
}

Napi::Value synchronize(const Napi::CallbackInfo& info) {
  Device& device = device_of(info[0]);
  return promised(
      info.Env(), device,
      [&device] { return device.synchronize(); },
      [](Napi::Env env) -> Napi::Value { return env.Undefined(); });
}

Napi::Value memory(const Napi::CallbackInfo& info) {  // (device, resetPeak)
  Allocator& allocator = device_of(info[0]).allocator();
  const MemoryStatistics now = allocator.statistics();
  if (boolean_of(info[1], "resetPeak")) allocator.reset_peak();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("used", static_cast<double>(now.used));
  result.Set("reserved", static_cast<double>(now.reserved));
  result.Set("peak", static_cast<double>(now.peak));
  return result;
}

Napi::Value set_memory_limit(const Napi::CallbackInfo& info) {  // (device, bytes | null)
  device_of(info[0]).allocator().set_limit(
      is_absent(info[1]) ? UINT64_MAX : static_cast<uint64_t>(integer_of(info[1], "bytes", 0, int64_t{1} << 53)));
  return info.Env().Undefined();
}

Napi::Value trim_memory(const Napi::CallbackInfo& info) {  // (device): a promise
  Device& device = device_of(info[0]);
  return promised(
      info.Env(), device,
      [&device, unused = device.allocator().take_unused()]() -> std::shared_ptr<const Error> {
        device.release(unused);
        return nullptr;
      },
      [](Napi::Env env) -> Napi::Value { return env.Undefined(); });
}

Napi::Value begin_program(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  if (environment.recording) fail(CFGD_VALUE, "program", "another program is being recorded");
  environment.recording = std::make_shared<Program>();
  return info.Env().Undefined();
}

Napi::Value end_program(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  if (!environment.recording) fail(CFGD_VALUE, "program", "no program is being recorded");
  auto* program = new std::shared_ptr<Program>(std::move(environment.recording));
  environment.recording = nullptr;
  auto external = Napi::External<std::shared_ptr<Program>>::New(
      info.Env(), program, [](Napi::Env, std::shared_ptr<Program>* p) { delete p; });
  external.TypeTag(&kTag);
  return external;
}

std::shared_ptr<Program>& program_of(const Napi::Value& value) {
  if (!value.IsExternal() || !value.As<Napi::External<std::shared_ptr<Program>>>().CheckTypeTag(&kTag))
    fail(CFGD_VALUE, "program", "expected a program");
  return *value.As<Napi::External<std::shared_ptr<Program>>>().Data();
}

Napi::Value replay_program(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Program>& program = program_of(info[0]);
  if (!program) fail(CFGD_VALUE, "program", "the program was disposed");
  if (program->commands.empty()) return info.Env().Undefined();
  program->storages.front()->device().replay(program);
  return info.Env().Undefined();
}

Napi::Value dispose_program(const Napi::CallbackInfo& info) {
  program_of(info[0]) = nullptr;
  return info.Env().Undefined();
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
void TensorObject::Finalize(Napi::BasicEnv env) {
  if (tensor_.storage) Napi::MemoryManagement::AdjustExternalMemory(env, -external_bytes_);
}

void TensorObject::adopt(Napi::Env env, Tensor tensor) {
  tensor_ = std::move(tensor);
  external_bytes_ = static_cast<int64_t>(tensor_.bytes());
  Napi::MemoryManagement::AdjustExternalMemory(env, external_bytes_);
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
  if (tensor_.storage) Napi::MemoryManagement::AdjustExternalMemory(info.Env(), -external_bytes_);
  tensor_.storage.reset();
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
    const Tensor& tensor = unwrap(info.This(), "tensor");
    tensor.device().write(tensor, bytes_of_array(info[0], "data", tensor));
    return info.Env().Undefined();
  });
}

Napi::Value TensorObject::read(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const Tensor tensor = unwrap(info.This(), "tensor");
    const uint64_t bytes = tensor.bytes();
    std::shared_ptr<char[]> host(new char[bytes ? bytes : 1]);
    return promised(
        info.Env(), tensor.device(),
        [tensor, host] { return tensor.device().read(tensor, host.get()); },
        [host, bytes, dtype = tensor.dtype](Napi::Env env) { return typed_array(env, dtype, host.get(), bytes); });
  });
}

void export_core(Napi::Object exports) {
  export_function<create_tensor>(exports, "createTensor");
  export_function<device_name>(exports, "deviceName");
  export_function<cuda_count>(exports, "cudaCount");
  export_function<synchronize>(exports, "synchronize");
  export_function<memory>(exports, "memory");
  export_function<set_memory_limit>(exports, "setMemoryLimit");
  export_function<trim_memory>(exports, "trimMemory");
  export_function<begin_program>(exports, "beginProgram");
  export_function<end_program>(exports, "endProgram");
  export_function<replay_program>(exports, "replayProgram");
  export_function<dispose_program>(exports, "disposeProgram");
}

}  // namespace cfgd
