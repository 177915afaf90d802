#include "cpu/kernel.h"

namespace cfgd::CFGD_ISA {

void register_matmul(CpuTable& table) { (void)table; }

}  // namespace cfgd::CFGD_ISA
