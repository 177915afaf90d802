// The CPU as a backend.
#pragma once
#include "cpu/accuracy.h"
#include "tensor/backend.h"

namespace cfgd {
const cfgd_backend* cpu_backend();
/// Runs an operation, by the code of its Variant, on the calling thread and the pool, outside any queue: what the typed-array forms use.
int32_t cpu_launch(uint32_t op, const void* args, uint32_t bytes, cfgd_status* status);
/// Keeps all threads at multiply-adds that wait for nothing. Returns the flops, 2 each.
double cpu_multiply_adds(int64_t rounds);
/// The instruction set in use: "baseline", "avx2" or "avx512".
const char* cpu_isa();
/// Measures the vector functions of that instruction set.
MeasureAccuracy cpu_math_accuracy();
}  // namespace cfgd
