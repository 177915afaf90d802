#include "cpu/isa.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#if defined(CFGD_X86)
#include <cpuid.h>
#endif

namespace cfgd {

#if defined(CFGD_X86)
namespace {

uint64_t read_xcr0() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

// Read from the processor itself: the compiler's own test of the x86-64 levels exists in one compiler only.
Isa best_isa() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return Isa::baseline;
  constexpr unsigned kFma = 1u << 12, kMovbe = 1u << 22, kOsxsave = 1u << 27, kAvx = 1u << 28, kF16c = 1u << 29;
  constexpr unsigned kNeeded = kFma | kMovbe | kOsxsave | kAvx | kF16c;
  if ((c & kNeeded) != kNeeded) return Isa::baseline;
  const uint64_t enabled = read_xcr0();
  if ((enabled & 0x6) != 0x6) return Isa::baseline;  // the system saves the 256-bit registers
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return Isa::baseline;
  constexpr unsigned kBmi1 = 1u << 3, kAvx2 = 1u << 5, kBmi2 = 1u << 8;
  if ((b & (kBmi1 | kAvx2 | kBmi2)) != (kBmi1 | kAvx2 | kBmi2)) return Isa::baseline;
  constexpr unsigned kF = 1u << 16, kDq = 1u << 17, kCd = 1u << 28, kBw = 1u << 30, kVl = 1u << 31;
  constexpr unsigned kWide = kF | kDq | kCd | kBw | kVl;
  if ((b & kWide) == kWide && (enabled & 0xe6) == 0xe6) return Isa::avx512;
  return Isa::avx2;
}

void brand(char* text) {
  unsigned words[12] = {};
  for (unsigned i = 0; i < 3; i++)
    __get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]);
  std::memcpy(text, words, 48);
  text[48] = 0;
}

}  // namespace
#endif

Isa detect_isa() {
  static const Isa isa = [] {
#if defined(CFGD_X86)
    const Isa best = best_isa();
#else
    const Isa best = Isa::baseline;
#endif
    const char* wish = std::getenv("CFGDISTILL_ISA");
    if (!wish) return best;
    for (Isa i : {Isa::baseline, Isa::avx2, Isa::avx512})
      if (std::strcmp(wish, name_of(i)) == 0 && i <= best) return i;
    return best;
  }();
  return isa;
}

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::baseline: return "baseline";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
  }
  return "?";
}

void describe_cpu(char* text, uint32_t bytes) {
#if defined(CFGD_X86)
  char name[49];
  brand(name);
#else
  const char* name = "CPU";
#endif
  std::snprintf(text, bytes, "%s, %s", name, name_of(detect_isa()));
}

}  // namespace cfgd
