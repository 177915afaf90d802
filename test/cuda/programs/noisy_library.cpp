// A library that is no backend, and prints when the process ends, as some drivers do.
#include <cstdio>
#include <cstdlib>

static const int kRegistered = std::atexit([] {
  std::fputs("\n{ a last word }\n", stdout);
  std::fflush(stdout);
});

extern "C" __attribute__((visibility("default"))) const void* cfgd_backend_entry(unsigned) {
  return kRegistered == 0 ? nullptr : &kRegistered;
}
