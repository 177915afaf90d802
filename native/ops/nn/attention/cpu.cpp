#include "ops/nn/attention/attention.h"

#include "cpu/kernel.h"
#include "ops/nn/attention/cpu_backward.h"
#include "ops/nn/attention/cpu_decode.h"
#include "ops/nn/attention/cpu_forward.h"
#include "ops/nn/attention/cpu_rotary.h"

namespace cfgd::CFGD_ISA {

void register_attention(CpuTable& table) {
  set<AttentionForwardArgs, forward>(table, Op::attention_forward);
  set<AttentionBackwardArgs, backward>(table, Op::attention_backward);
  set<AttentionDecodeArgs, decode>(table, Op::attention_decode);
  set<CacheWriteArgs, cache_write>(table, Op::cache_write);
  set<RotaryArgs, rotary>(table, Op::rotary);
}

}  // namespace cfgd::CFGD_ISA
