#include "cpu/kernel.h"

namespace cfgd::CFGD_ISA {

void register_merge(CpuTable& table) { (void)table; }

}  // namespace cfgd::CFGD_ISA
