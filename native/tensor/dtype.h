// Element types. f16 and bf16 are storage types of checkpoints; arithmetic is float32.
#pragma once
#include <cstddef>
#include <cstdint>

namespace cfgd {

enum class DType : uint8_t { f32, i32, f16, bf16 };

inline size_t size_of(DType dtype) { return dtype == DType::f16 || dtype == DType::bf16 ? 2 : 4; }

inline const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return "float32";
    case DType::i32: return "int32";
    case DType::f16: return "float16";
    case DType::bf16: return "bfloat16";
  }
  return "?";
}

}  // namespace cfgd
