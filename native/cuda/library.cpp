#include "cuda/library.h"

#if defined(__linux__)
#include <dlfcn.h>
#include <unistd.h>
#endif

#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "tensor/error.h"

namespace cfgd {

#if defined(__linux__)
namespace {

std::string folder_of_addon() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&cuda_backend), &info) || !info.dli_fname) return ".";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

const cfgd_backend* load() {
  std::string tried;
  for (const std::string& path : cuda_candidates()) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      tried += "\n  " + std::string(dlerror());
      continue;
    }
    auto entry = reinterpret_cast<cfgd_backend_entry_function>(dlsym(library, "cfgd_backend_entry"));
    const cfgd_backend* backend = entry ? entry(CFGD_BACKEND_ABI) : nullptr;
    if (backend && backend->abi == CFGD_BACKEND_ABI && backend->bytes == sizeof(cfgd_backend)) return backend;
    tried += "\n  " + path + ": built for another version of the addon; run `npm run build:cuda` again";
  }
  throw Error(CFGD_DEVICE, "device",
              "device: no CUDA backend. Build it with `npm run build:cuda` where the CUDA toolkit (nvcc) is installed, "
              "or use device 'cpu'. Tried:" +
                  tried);
}

}  // namespace

std::vector<std::string> cuda_candidates() {
  if (const char* path = std::getenv("CFGDISTILL_CUDA_LIBRARY"); path && *path) return {path};
  const std::string here = folder_of_addon();
  // Beside the addon, or where `npm run build:cuda` leaves it in a checkout (build/Release → build-cuda/Release).
  return {here + "/libcfgdistill_cuda.so", here + "/../../build-cuda/Release/libcfgdistill_cuda.so"};
}

std::string cuda_library() {
  for (const std::string& path : cuda_candidates())
    // A bare name is looked for by the loader itself.
    if (path.find('/') == std::string::npos || access(path.c_str(), F_OK) == 0) return path;
  return "";
}

const cfgd_backend* cuda_backend() {
  // A failure is not kept: the library may be built while the process runs.
  static std::mutex* mutex = new std::mutex();
  static const cfgd_backend* backend = nullptr;
  std::lock_guard lock(*mutex);
  if (!backend) backend = load();
  return backend;
}

#else

std::vector<std::string> cuda_candidates() { return {}; }
std::string cuda_library() { return ""; }
const cfgd_backend* cuda_backend() {
  throw Error(CFGD_DEVICE, "device", "device: the CUDA backend runs on Linux only; use device 'cpu'");
}

#endif

}  // namespace cfgd
