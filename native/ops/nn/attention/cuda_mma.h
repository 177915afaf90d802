// Attention on tensor cores, in a source of its own. Host code.
#pragma once
#include "cuda/kernel.h"
#include "ops/nn/attention/attention.h"

namespace cfgd {

constexpr int64_t kMaxMmaHeadDim = 128;

/// Shapes are checked, head_dim ≤ kMaxMmaHeadDim.
int32_t launch_forward_mma(const LaunchContext& context, const AttentionForward<bf16>& a, cfgd_status* status);
int32_t launch_backward_mma(const LaunchContext& context, const AttentionBackward<bf16>& a, cfgd_status* status);

}  // namespace cfgd
