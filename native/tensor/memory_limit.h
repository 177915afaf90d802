// The limit of each device's memory that the environment sets.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "tensor/error.h"

namespace cfgd {

/// CFGDISTILL_MEMORY_LIMIT in bytes: a number of them, or of binary kilo-, mega-, giga- or terabytes with K, M, G or T
/// after it ("1536M", "1.5G"). UINT64_MAX where it is not set; throws CFGD_VALUE for anything else.
inline uint64_t memory_limit_from_environment() {
  constexpr const char* kName = "CFGDISTILL_MEMORY_LIMIT";
  const char* text = std::getenv(kName);
  if (!text || !*text) return UINT64_MAX;
  char* end = nullptr;
  const bool digits = std::strspn(text, "0123456789") > 0;
  double bytes = digits ? std::strtod(text, &end) : 0;
  if (digits && *end) {
    static const char suffixes[] = "KMGT";
    const char* suffix = std::strchr(suffixes, *end & ~0x20);  // in upper case
    if (suffix && !end[1])
      bytes = std::ldexp(bytes, 10 * static_cast<int>(suffix - suffixes + 1));
    else
      bytes = NAN;
  }
  if (!digits || !(bytes < 0x1p63))
    fail(CFGD_VALUE, kName, "expected a number of bytes, or one with K, M, G or T after it, got '%.64s'", text);
  return static_cast<uint64_t>(bytes);
}

}  // namespace cfgd
