#include "cuda/cublaslt_library.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cfgd::cublaslt {
namespace {

constexpr const char* kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12", "/usr/local/cuda/lib64/libcublasLt.so.13",
                                  "/usr/local/cuda/lib64/libcublasLt.so.12"};

template <class F>
bool find(void* file, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(file, name));
  return function != nullptr;
}

bool find_all(void* file, Library& l) {
  return find(file, "cublasLtGetVersion", l.version) && find(file, "cublasLtCreate", l.create) &&
         find(file, "cublasLtDestroy", l.destroy) && find(file, "cublasLtMatmulDescCreate", l.desc_create) &&
         find(file, "cublasLtMatmulDescDestroy", l.desc_destroy) &&
         find(file, "cublasLtMatmulDescSetAttribute", l.desc_set) &&
         find(file, "cublasLtMatrixLayoutCreate", l.layout_create) &&
         find(file, "cublasLtMatrixLayoutDestroy", l.layout_destroy) &&
         find(file, "cublasLtMatmulPreferenceCreate", l.preference_create) &&
         find(file, "cublasLtMatmulPreferenceDestroy", l.preference_destroy) &&
         find(file, "cublasLtMatmulPreferenceSetAttribute", l.preference_set) &&
         find(file, "cublasLtMatmulAlgoGetHeuristic", l.heuristics) && find(file, "cublasLtMatmul", l.matmul);
}

/// Null, with the reason, when the file cannot be used. Once loaded it stays.
const Library* open(const char* name, char* problem, size_t bytes) {
  void* file = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!file) {
    std::snprintf(problem, bytes, "%s", dlerror());
    return nullptr;
  }
  static Library library;
  if (find_all(file, library)) return &library;
  dlclose(file);
  std::snprintf(problem, bytes, "%s: not a cuBLASLt library", name);
  return nullptr;
}

Loaded load() {
  Loaded result;
  if (const char* wanted = std::getenv("CFGDISTILL_CUBLASLT_LIBRARY"); wanted && *wanted) {
    if (std::strcmp(wanted, "none") != 0)
      result.library = open(wanted, result.problem, sizeof result.problem);
    std::snprintf(result.name, sizeof result.name, "%s", wanted);
    return result;
  }
  char unused[sizeof result.problem];
  for (const char* name : kNames)
    if ((result.library = open(name, unused, sizeof unused))) {
      std::snprintf(result.name, sizeof result.name, "%s", name);
      break;
    }
  return result;
}

}  // namespace

const Loaded& loaded() {
  static const Loaded* made = new Loaded(load());
  return *made;
}

}  // namespace cfgd::cublaslt
