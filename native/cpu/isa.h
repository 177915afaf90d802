// Which instruction set the kernels use. CFGDISTILL_ISA=baseline|avx2|avx512 asks for a lower one than was found.
#pragma once
#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#define CFGD_X86 1
#endif

namespace cfgd {
enum class Isa { baseline, avx2, avx512 };
/// Decided at the first call.
Isa detect_isa();
const char* name_of(Isa isa);
/// "<processor brand>, <instruction set>".
void describe_cpu(char* text, uint32_t bytes);
}  // namespace cfgd
