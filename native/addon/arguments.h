// Reading and checking what JavaScript passes. Every function names the argument in its error.
#pragma once
#include <napi.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "addon/tensor_object.h"
#include "tensor/device.h"

namespace cfgd {

double number_of(const Napi::Value& value, const char* argument);
/// A finite number.
float finite_of(const Napi::Value& value, const char* argument);
/// An integer of [low, high].
int64_t integer_of(const Napi::Value& value, const char* argument, int64_t low, int64_t high);
bool boolean_of(const Napi::Value& value, const char* argument);
std::string string_of(const Napi::Value& value, const char* argument);
/// A seed: an integer of [0, 2^53).
uint64_t seed_of(const Napi::Value& value, const char* argument);
/// A type of elements by its name; throws CFGD_DTYPE for another.
DType dtype_of(const Napi::Value& value);
Shape shape_of(const Napi::Value& value, const char* argument);
/// The elements of an array, which may be computed by getters: read it before looking at memory or tensors, which such
/// code may detach or dispose.
std::vector<Napi::Value> list_of(const Napi::Value& value, const char* argument);
bool is_absent(const Napi::Value& value);

/// A tensor of this type; with a shape, -1 in it accepts any size.
const Tensor& tensor_of(const Napi::Value& value, const char* argument, DType dtype);
const Tensor& tensor_of(const Napi::Value& value, const char* argument, DType dtype,
                        std::initializer_list<int64_t> shape);
/// A tensor of a type that operations compute on: float32 or bfloat16.
const Tensor& elements_of(const Napi::Value& value, const char* argument);
const Tensor& elements_of(const Napi::Value& value, const char* argument, std::initializer_list<int64_t> shape);
/// Throws CFGD_SHAPE unless the shape is this one (-1: any size).
void expect_shape(const Tensor& tensor, const char* argument, std::initializer_list<int64_t> shape);
void expect_same_device(const Tensor& a, const char* a_name, const Tensor& b, const char* b_name);

/// A view of a typed array's memory. Lengths are in elements.
template <class T>
struct Span {
  T* data = nullptr;
  int64_t length = 0;
  int64_t element_bytes = sizeof(T);
  const char* begin() const { return reinterpret_cast<const char*>(data); }
  const char* end() const { return begin() + length * element_bytes; }
};
/// Throws CFGD_DTYPE for another kind of array, CFGD_VALUE for one without memory (its buffer was transferred, or has
/// shrunk so that the view begins beyond its end), CFGD_SHAPE when length ≥ 0 and differs. What it gives is good until
/// JavaScript runs again: read all that may call it (elements of lists) before.
Span<float> floats_of(const Napi::Value& value, const char* argument, int64_t length = -1);
Span<int32_t> ints_of(const Napi::Value& value, const char* argument, int64_t length = -1);
Span<uint32_t> words_of(const Napi::Value& value, const char* argument, int64_t length = -1);
/// Elements of a floating-point type: a Float32Array, or a Uint16Array of bf16 or f16, behind a pointer that the
/// operation's variant gives its type.
Span<float> host_elements_of(const Napi::Value& value, const char* argument, DType dtype, int64_t length = -1);
/// The type of host_elements_of, by its name: float32, bfloat16 or float16.
DType host_dtype_of(const Napi::Value& value, const char* argument);

/// Rows of [rows, vocab] from a flat length; throws CFGD_SHAPE unless the vocabulary divides it.
int64_t rows_of(int64_t length, int64_t vocab, const char* argument);
/// The vocabulary of a tensor [rows, vocab]; throws CFGD_SHAPE when it is 0.
int64_t vocab_of(const Tensor& logits, const char* argument);

/// Sends an operation to the tensors' device: to its queue, or into the program being recorded.
void submit(Napi::Env env, Variant op, std::vector<std::byte> args, std::initializer_list<const Tensor*> inputs,
            std::initializer_list<const Tensor*> outputs, bool keeps_outputs = false);
void submit(Napi::Env env, Variant op, std::vector<std::byte> args, const std::vector<const Tensor*>& inputs,
            const std::vector<const Tensor*>& outputs, bool keeps_outputs = false);
/// Runs an operation on host memory now; throws what it reports.
void run_now(Variant op, const std::vector<std::byte>& args);

}  // namespace cfgd
