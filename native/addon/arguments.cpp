#include "addon/arguments.h"

#include <cmath>

#include "cpu/backend.h"

namespace cfgd {
namespace {

std::string described(const Napi::Value& value) {
  if (value.IsNumber()) {
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", value.As<Napi::Number>().DoubleValue());
    return text;
  }
  if (value.IsString()) return std::string(1, '\'').append(value.As<Napi::String>().Utf8Value()).append(1, '\'');
  if (value.IsUndefined()) return "undefined";
  if (value.IsNull()) return "null";
  if (value.IsTypedArray()) {
    static const char* names[] = {"Int8Array",   "Uint8Array",   "Uint8ClampedArray", "Int16Array",    "Uint16Array",
                                  "Int32Array",  "Uint32Array",  "Float32Array",      "Float64Array",  "BigInt64Array",
                                  "BigUint64Array"};
    const auto type = static_cast<size_t>(value.As<Napi::TypedArray>().TypedArrayType());
    for (auto [known, index] : {std::pair{napi_int8_array, 0}, {napi_uint8_array, 1}, {napi_uint8_clamped_array, 2},
                                {napi_int16_array, 3}, {napi_uint16_array, 4}, {napi_int32_array, 5},
                                {napi_uint32_array, 6}, {napi_float32_array, 7}, {napi_float64_array, 8},
                                {napi_bigint64_array, 9}, {napi_biguint64_array, 10}})
      if (type == static_cast<size_t>(known)) return names[index];
    return "a typed array";
  }
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value() ? "true" : "false";
  if (value.IsArray()) return "an array";
  if (value.IsFunction()) return "a function";
  return "an object";
}

template <class T>
Span<T> array_of(const Napi::Value& value, const char* argument, int64_t length, napi_typedarray_type type,
                 const char* name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
    fail(CFGD_DTYPE, argument, "expected a %s, got %s", name, described(value).c_str());
  void* data = nullptr;
  size_t elements = 0;
  napi_value buffer;
  size_t offset = 0;
  napi_typedarray_type actual;
  if (napi_get_typedarray_info(value.Env(), value, &actual, &elements, &data, &buffer, &offset) != napi_ok)
    fail(CFGD_VALUE, argument, "expected a usable %s", name);
  bool detached = false;
  if (napi_is_detached_arraybuffer(value.Env(), buffer, &detached) == napi_ok && detached)
    fail(CFGD_VALUE, argument, "expected a %s with memory, got one whose buffer was transferred", name);
  size_t bytes = 0;  // a shared buffer does not shrink
  if (napi_get_arraybuffer_info(value.Env(), buffer, nullptr, &bytes) == napi_ok && offset > bytes)
    fail(CFGD_VALUE, argument, "expected a %s with memory, got one whose buffer has shrunk", name);
  if (reinterpret_cast<uintptr_t>(data) % sizeof(T))
    fail(CFGD_VALUE, argument, "expected a %s whose memory is aligned to its elements", name);
  if (length >= 0 && static_cast<int64_t>(elements) != length)
    fail(CFGD_SHAPE, argument, "expected %lld elements, got %zu", static_cast<long long>(length), elements);
  return {static_cast<T*>(data), static_cast<int64_t>(elements)};
}

std::string text_of(std::initializer_list<int64_t> shape) {
  std::string s = "[";
  for (int64_t d : shape) s += (s.size() > 1 ? ", " : "") + (d < 0 ? std::string("*") : std::to_string(d));
  return s + "]";
}

}  // namespace

double number_of(const Napi::Value& value, const char* argument) {
  if (!value.IsNumber()) fail(CFGD_VALUE, argument, "expected a number, got %s", described(value).c_str());
  return value.As<Napi::Number>().DoubleValue();
}

float finite_of(const Napi::Value& value, const char* argument) {
  const double number = number_of(value, argument);
  if (!std::isfinite(static_cast<float>(number)))
    fail(CFGD_VALUE, argument, "expected a finite number, got %g", number);
  return static_cast<float>(number);
}

int64_t integer_of(const Napi::Value& value, const char* argument, int64_t low, int64_t high) {
  const double number = number_of(value, argument);
  if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) || number != std::floor(number))
    fail(CFGD_VALUE, argument, "expected an integer from %lld to %lld, got %g", static_cast<long long>(low),
         static_cast<long long>(high), number);
  return static_cast<int64_t>(number);
}

bool boolean_of(const Napi::Value& value, const char* argument) {
  if (!value.IsBoolean()) fail(CFGD_VALUE, argument, "expected true or false, got %s", described(value).c_str());
  return value.As<Napi::Boolean>().Value();
}

std::string string_of(const Napi::Value& value, const char* argument) {
  if (!value.IsString()) fail(CFGD_VALUE, argument, "expected a string, got %s", described(value).c_str());
  return value.As<Napi::String>().Utf8Value();
}

uint64_t seed_of(const Napi::Value& value, const char* argument) {
  return static_cast<uint64_t>(integer_of(value, argument, 0, (int64_t{1} << 53) - 1));
}

std::vector<Napi::Value> list_of(const Napi::Value& value, const char* argument) {
  if (!value.IsArray()) fail(CFGD_VALUE, argument, "expected an array, got %s", described(value).c_str());
  const auto array = value.As<Napi::Array>();
  std::vector<Napi::Value> elements;
  for (uint32_t i = 0; i < array.Length(); i++) elements.push_back(array.Get(i));
  return elements;
}

Shape shape_of(const Napi::Value& value, const char* argument) {
  if (!value.IsArray()) fail(CFGD_SHAPE, argument, "expected an array of dimensions, got %s", described(value).c_str());
  const auto array = value.As<Napi::Array>();
  Shape shape;
  for (uint32_t i = 0; i < array.Length(); i++)
    shape.push(integer_of(array.Get(i), argument, 0, Shape::kMaxElements));
  return shape;
}

DType dtype_of(const Napi::Value& value) {
  const std::string name = string_of(value, "dtype");
  for (DType d : {DType::f32, DType::i32, DType::f16, DType::bf16})
    if (name == name_of(d)) return d;
  fail(CFGD_DTYPE, "dtype", "expected 'float32', 'int32', 'float16' or 'bfloat16', got '%s'", name.c_str());
}

bool is_absent(const Napi::Value& value) { return value.IsUndefined() || value.IsNull(); }

const Tensor& tensor_of(const Napi::Value& value, const char* argument, DType dtype) {
  const Tensor& tensor = TensorObject::unwrap(value, argument);
  if (tensor.dtype != dtype)
    fail(CFGD_DTYPE, argument, "expected %s, got %s", name_of(dtype), name_of(tensor.dtype));
  return tensor;
}

const Tensor& tensor_of(const Napi::Value& value, const char* argument, DType dtype,
                        std::initializer_list<int64_t> shape) {
  const Tensor& tensor = tensor_of(value, argument, dtype);
  expect_shape(tensor, argument, shape);
  return tensor;
}

const Tensor& elements_of(const Napi::Value& value, const char* argument) {
  const Tensor& tensor = TensorObject::unwrap(value, argument);
  if (tensor.dtype != DType::f32 && tensor.dtype != DType::bf16)
    fail(CFGD_DTYPE, argument, "expected float32 or bfloat16, got %s", name_of(tensor.dtype));
  return tensor;
}

const Tensor& elements_of(const Napi::Value& value, const char* argument, std::initializer_list<int64_t> shape) {
  const Tensor& tensor = elements_of(value, argument);
  expect_shape(tensor, argument, shape);
  return tensor;
}

void expect_shape(const Tensor& tensor, const char* argument, std::initializer_list<int64_t> shape) {
  bool same = tensor.shape.rank() == static_cast<int>(shape.size());
  int i = 0;
  for (int64_t d : shape) {
    if (!same) break;
    if (d >= 0 && tensor.shape[i] != d) same = false;
    i++;
  }
  if (!same)
    fail(CFGD_SHAPE, argument, "expected %s, got %s", text_of(shape).c_str(), tensor.shape.text().c_str());
}

void expect_same_device(const Tensor& a, const char* a_name, const Tensor& b, const char* b_name) {
  if (&a.device() != &b.device())
    fail(CFGD_DEVICE, b_name, "expected a tensor on %s like %s, got one on %s", a.device().id().c_str(), a_name,
         b.device().id().c_str());
}

Span<float> floats_of(const Napi::Value& value, const char* argument, int64_t length) {
  return array_of<float>(value, argument, length, napi_float32_array, "Float32Array");
}

Span<int32_t> ints_of(const Napi::Value& value, const char* argument, int64_t length) {
  return array_of<int32_t>(value, argument, length, napi_int32_array, "Int32Array");
}

Span<uint32_t> words_of(const Napi::Value& value, const char* argument, int64_t length) {
  return array_of<uint32_t>(value, argument, length, napi_uint32_array, "Uint32Array");
}

Span<float> host_elements_of(const Napi::Value& value, const char* argument, DType dtype, int64_t length) {
  if (dtype == DType::f32) return floats_of(value, argument, length);
  const Span<uint16_t> halves = array_of<uint16_t>(value, argument, length, napi_uint16_array, "Uint16Array");
  return {reinterpret_cast<float*>(halves.data), halves.length, sizeof(uint16_t)};
}

DType host_dtype_of(const Napi::Value& value, const char* argument) {
  const DType dtype = dtype_of(value);
  if (dtype == DType::i32)
    fail(CFGD_DTYPE, argument, "expected 'float32', 'float16' or 'bfloat16', got '%s'", name_of(dtype));
  return dtype;
}

int64_t rows_of(int64_t length, int64_t vocab, const char* argument) {
  if (length % vocab)
    fail(CFGD_SHAPE, argument, "expected a multiple of vocab = %lld elements, got %lld", static_cast<long long>(vocab),
         static_cast<long long>(length));
  return length / vocab;
}

int64_t vocab_of(const Tensor& logits, const char* argument) {
  const int64_t vocab = logits.shape[1];
  if (vocab < 1 || vocab > INT32_MAX)
    fail(CFGD_SHAPE, argument, "expected [rows, vocab] with a vocabulary of 1 to %d, got %s", INT32_MAX,
         logits.shape.text().c_str());
  return vocab;
}

void submit(Napi::Env, Variant op, std::vector<std::byte> args, const std::vector<const Tensor*>& inputs,
            const std::vector<const Tensor*>& outputs, bool keeps_outputs) {
  Command command{op, std::move(args), {}, {}, keeps_outputs};
  const Tensor* first = !outputs.empty() ? outputs.front() : inputs.front();
  Device& device = first->device();
  for (const Tensor* t : inputs) {
    if (&t->device() != &device) expect_same_device(*first, "output", *t, "input");
    command.inputs.push_back(t->storage->block());
  }
  for (const Tensor* t : outputs) command.outputs.push_back(t->storage->block());
  Program* recording = Program::recording();
  if (!recording) return device.submit(std::move(command));
  recording->add(device, std::move(command));
  for (const Tensor* t : inputs) recording->hold(t->storage);
  for (const Tensor* t : outputs) recording->hold(t->storage);
}

void submit(Napi::Env env, Variant op, std::vector<std::byte> args, std::initializer_list<const Tensor*> inputs,
            std::initializer_list<const Tensor*> outputs, bool keeps_outputs) {
  submit(env, op, std::move(args), std::vector<const Tensor*>(inputs), std::vector<const Tensor*>(outputs),
         keeps_outputs);
}

void run_now(Variant op, const std::vector<std::byte>& args) {
  cfgd_status status{};
  if (cpu_launch(op.code(), args.data(), static_cast<uint32_t>(args.size()), &status) != CFGD_OK)
    throw Error(status);
}

}  // namespace cfgd
