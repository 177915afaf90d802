// Memory of the host beside that of tensors.
#pragma once
#include <cstdint>
#include <memory>
#include <new>
#include <string>

#include "tensor/error.h"

namespace cfgd {

/// `bytes` of host memory, their content undefined; throws CFGD_MEMORY, naming the size, when there is none.
inline std::shared_ptr<char[]> host_memory(uint64_t bytes, const char* purpose) {
  try {
    return std::shared_ptr<char[]>(new char[bytes ? bytes : 1]);
  } catch (const std::bad_alloc&) {
    throw Error(CFGD_MEMORY, "",
                "out of memory: the system gave no " + std::to_string(bytes) + " bytes " + purpose);
  }
}

}  // namespace cfgd
