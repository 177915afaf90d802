// What the report of the CUDA backend asks of its parts.
#pragma once
#include <cstdint>

namespace cfgd {
/// Which cuBLASLt is in use: its version and where it was found; an empty text when there is none.
void describe_cublaslt(char* text, uint32_t bytes);
}  // namespace cfgd
