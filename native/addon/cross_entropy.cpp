#include "addon/arguments.h"
#include "addon/families.h"

namespace cfgd {

void export_cross_entropy(Napi::Object exports) { (void)exports; }

}  // namespace cfgd
