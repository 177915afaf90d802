// Finds and loads libcfgdistill_cuda.so, which lies beside the addon or where CFGDISTILL_CUDA_LIBRARY says.
#pragma once
#include <string>
#include <vector>

#include "tensor/backend.h"

namespace cfgd {
/// The CUDA backend. Throws CFGD_DEVICE, saying what was tried and what to do, when there is none.
const cfgd_backend* cuda_backend();
/// Where its library is looked for.
std::vector<std::string> cuda_candidates();
/// The candidate that is there, or "". Loads nothing.
std::string cuda_library();
}  // namespace cfgd
