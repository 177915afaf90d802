// bfloat16 on the CPU where an operation has no kernel of its own: for checking other devices and for running anywhere,
// not for speed.
#pragma once
#include <cstdint>

#include "ops/op.h"
#include "tensor/backend.h"

namespace cfgd {

/// Runs the operation with its 16-bit elements widened to float32 copies and rounded once when they are written back.
/// Throws std::bad_alloc.
int32_t launch_widened(Variant variant, const void* args, uint32_t bytes, cfgd_status* status);
/// Whether there is such an operation.
bool has_widened(Variant variant);

}  // namespace cfgd
