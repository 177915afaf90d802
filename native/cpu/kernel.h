// How a CPU kernel enters the table of its instruction set.
//
// Every ops/<family>/cpu.cpp is compiled once per instruction set, with CFGD_ISA naming the namespace. Inside, nothing
// with external linkage may be shared between the copies: an inline function or template of the same name compiled
// twice is kept once by the linker, either slow or illegal on old processors. So: everything in namespace
// cfgd::CFGD_ISA, and no templates of the standard library.
#pragma once
#include <cstdint>

#include "ops/op.h"
#include "ops/parallel.h"
#include "tensor/backend.h"

#define CFGD_CONCAT_(a, b) a##b
#define CFGD_CONCAT(a, b) CFGD_CONCAT_(a, b)

namespace cfgd {

using CpuKernel = int32_t (*)(const void* args, uint32_t bytes, const Parallel& parallel, cfgd_status* status);

/// Kernels by operation and type of element.
class CpuTable {
 public:
  CpuKernel& at(Variant variant) { return kernels_[row_of(variant.type)][static_cast<uint32_t>(variant.op)]; }
  /// Null when there is no such operation.
  CpuKernel find(Variant variant) const {
    const bool known = static_cast<uint32_t>(variant.op) < static_cast<uint32_t>(Op::count) &&
                       (variant.type == DType::f32 || variant.type == DType::bf16 || variant.type == DType::f16);
    return known ? kernels_[row_of(variant.type)][static_cast<uint32_t>(variant.op)] : nullptr;
  }
  /// The yardstick of products: does multiply-adds that wait for nothing, and returns how many flops they were.
  double (*multiply_adds)(int64_t rounds, const Parallel& parallel) = nullptr;

 private:
  static int row_of(DType type) { return type == DType::f32 ? 0 : type == DType::bf16 ? 1 : 2; }
  CpuKernel kernels_[3][static_cast<uint32_t>(Op::count)] = {};
};

}  // namespace cfgd

#ifdef CFGD_ISA
namespace cfgd::CFGD_ISA {
namespace {
/// Adapts `int32_t kernel(const Args&, const Parallel&, cfgd_status*)` to a table entry.
template <class Args, int32_t (*F)(const Args&, const Parallel&, cfgd_status*)>
int32_t adapted(const void* args, uint32_t, const Parallel& parallel, cfgd_status* status) {
  return F(*static_cast<const Args*>(args), parallel, status);
}
template <class Args, int32_t (*F)(const Args&, const Parallel&, cfgd_status*)>
void set(CpuTable& table, Variant variant) {
  table.at(variant) = adapted<Args, F>;
}
}  // namespace
}  // namespace cfgd::CFGD_ISA
#endif
