// What is installed on this machine, as JSON, for `cfgdistill doctor`.
#include "cuda/report.h"

#include <cstdarg>
#include <cstdio>

#include "cuda/device_state.h"
#include "cuda/kernel.h"

namespace cfgd {
namespace {

/// Text that is cut where the room ends.
class Text {
 public:
  Text(char* to, uint32_t bytes) : to_(to), left_(bytes) {
    if (bytes) *to = 0;
  }
  __attribute__((format(printf, 2, 3))) void add(const char* format, ...) {
    va_list list;
    va_start(list, format);
    const int written = std::vsnprintf(to_, left_, format, list);
    va_end(list);
    const uint32_t used = written < 0 ? 0 : static_cast<uint32_t>(written) < left_ ? written : left_ ? left_ - 1 : 0;
    to_ += used;
    left_ -= used;
  }
  void add_string(const char* text) {
    add("\"");
    for (const char* c = text; *c; c++) {
      if (*c == '"' || *c == '\\')
        add("\\%c", *c);
      else if (static_cast<unsigned char>(*c) < ' ')
        add(" ");
      else
        add("%c", *c);
    }
    add("\"");
  }

 private:
  char* to_;
  uint32_t left_;
};

void add_version(Text& text, const char* name, int version) {
  if (version)
    text.add("\"%s\":\"%d.%d\",", name, version / 1000, version % 1000 / 10);
  else
    text.add("\"%s\":null,", name);
}

void add_device(Text& text, int index) {
  cudaDeviceProp properties = {};
  if (cudaGetDeviceProperties(&properties, index) != cudaSuccess || cudaSetDevice(index) != cudaSuccess) {
    cudaGetLastError();
    text.add("{\"index\":%d,\"name\":null}", index);
    return;
  }
  size_t free = 0, total = 0;
  const bool known = cudaMemGetInfo(&free, &total) == cudaSuccess;
  cudaGetLastError();
  text.add("{\"index\":%d,\"name\":", index);
  text.add_string(properties.name);
  text.add(",\"computeCapability\":\"%d.%d\",\"memory\":%llu,", properties.major, properties.minor,
           static_cast<unsigned long long>(properties.totalGlobalMem));
  if (known)
    text.add("\"freeMemory\":%llu}", static_cast<unsigned long long>(free));
  else
    text.add("\"freeMemory\":null}");
}

}  // namespace

void cuda_report(char* json, uint32_t bytes) {
  Text text(json, bytes);
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  cudaGetLastError();
  text.add("{");
  add_version(text, "driver", driver);
  add_version(text, "runtime", runtime);
  char cublaslt[128];
  describe_cublaslt(cublaslt, sizeof cublaslt);
  text.add("\"cublasLt\":");
  if (*cublaslt)
    text.add_string(cublaslt);
  else
    text.add("null");
  int32_t count = 0;
  cfgd_status status = {};
  text.add(",\"problem\":");
  if (cuda_device_count(&count, &status) == CFGD_OK)
    text.add("null");
  else
    text.add_string(status.message);
  text.add(",\"devices\":[");
  for (int32_t i = 0; i < count; i++) {
    if (i) text.add(",");
    add_device(text, i);
  }
  text.add("]}");
}

}  // namespace cfgd
