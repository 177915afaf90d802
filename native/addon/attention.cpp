#include "addon/arguments.h"
#include "addon/families.h"

namespace cfgd {

void export_attention(Napi::Object exports) { (void)exports; }

}  // namespace cfgd
