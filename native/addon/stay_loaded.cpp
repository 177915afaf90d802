#include "addon/stay_loaded.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace cfgd {

#if defined(_WIN32)
void stay_loaded() {
  HMODULE self;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                     reinterpret_cast<LPCWSTR>(&stay_loaded), &self);
}
#else
void stay_loaded() {
  static void* const self = [] {
    Dl_info info;
    return dladdr(reinterpret_cast<void*>(&stay_loaded), &info) ? dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD)
                                                                : nullptr;
  }();
  (void)self;
}
#endif

}  // namespace cfgd
