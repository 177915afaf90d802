#include "cpu/kernel.h"

namespace cfgd::CFGD_ISA {

void register_attention(CpuTable& table) { (void)table; }

}  // namespace cfgd::CFGD_ISA
