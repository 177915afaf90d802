// The operations that the CUDA backend has.
#pragma once
#include "cuda/kernel.h"

namespace cfgd {
const CudaTable& cuda_table();
}  // namespace cfgd
