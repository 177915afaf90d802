// Scratch memory of a kernel's thread: grows, is reused by the next row, and goes with the thread.
// Included only from per-ISA files.
#pragma once
#include <cstdint>
#include <new>

#include "tensor/aligned_memory.h"

namespace cfgd::CFGD_ISA {
namespace {

class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  ~Scratch() { release_aligned(memory_); }
  /// At least `count` elements, 64-byte aligned, their content undefined. Throws std::bad_alloc.
  template <class T>
  T* get(int64_t count) {
    const uint64_t bytes = (static_cast<uint64_t>(count) * sizeof(T) + 63) / 64 * 64;
    if (bytes > bytes_) {
      release_aligned(memory_);
      bytes_ = 0;
      memory_ = allocate_aligned(bytes);
      if (!memory_) throw std::bad_alloc();
      bytes_ = bytes;
    }
    return static_cast<T*>(memory_);
  }

 private:
  void* memory_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace
}  // namespace cfgd::CFGD_ISA
