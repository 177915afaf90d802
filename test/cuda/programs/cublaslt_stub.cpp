// Stands in for cuBLASLt on the emulated device: the functions that the backend calls, with products computed on the
// host in stream order, declared here a second time from NVIDIA's documentation. What it is asked for is appended to
// the file CFGDISTILL_CUBLASLT_STUB_LOG as lines of JSON. CFGDISTILL_CUBLASLT_STUB says what goes wrong:
//
//   no-algorithm        the heuristics succeed and find nothing
//   unsupported         the heuristics fail
//   large-workspace     they propose what needs more workspace than is allowed
//   refuse              the product fails
#include <dlfcn.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr int kSuccess = 0, kInvalidValue = 7, kNotSupported = 15;
constexpr int kReal32 = 0, kRealBf16 = 14;
constexpr int kEpilogueBias = 4;

struct Desc {
  int compute, scale;
  int32_t trans_a = 0, trans_b = 0;
  uint32_t epilogue = 1;
  const void* bias = nullptr;
  int32_t bias_type = -1;
};
struct Layout {
  int type;
  uint64_t rows, columns;
  int64_t step;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t schemes = 7;
  uint32_t alignment[4] = {256, 256, 256, 256};
};
struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

bool at_fault(const char* name) {
  const char* fault = std::getenv("CFGDISTILL_CUBLASLT_STUB");
  return fault && std::strcmp(fault, name) == 0;
}

void log(const std::string& line) {
  const char* path = std::getenv("CFGDISTILL_CUBLASLT_STUB_LOG");
  if (!path || !*path) return;
  if (std::FILE* file = std::fopen(path, "a")) {
    std::fprintf(file, "%s\n", line.c_str());
    std::fclose(file);
  }
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}
std::string field(const char* name, double value) { return "\"" + std::string(name) + "\":" + number(value); }
std::string json(const Layout& l) {
  return "[" + number(l.type) + "," + number(static_cast<double>(l.rows)) + "," +
         number(static_cast<double>(l.columns)) + "," + number(static_cast<double>(l.step)) + "]";
}

double read(const void* memory, int type, int64_t i) {
  if (type == kReal32) return static_cast<double>(static_cast<const float*>(memory)[i]);
  const uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t*>(memory)[i]) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return static_cast<double>(value);
}
void write(void* memory, int type, int64_t i, double value) {
  const float narrow = static_cast<float>(value);
  if (type == kReal32) {
    static_cast<float*>(memory)[i] = narrow;
    return;
  }
  uint32_t bits;
  std::memcpy(&bits, &narrow, sizeof bits);
  if (!std::isnan(narrow)) bits += 0x7fff + (bits >> 16 & 1);
  static_cast<uint16_t*>(memory)[i] = static_cast<uint16_t>(bits >> 16 | (std::isnan(narrow) ? 0x40 : 0));
}

/// A product, with everything it needs, as it waits in the stream.
struct Job {
  Desc desc;
  Layout a_layout, b_layout, c_layout, d_layout;
  double alpha, beta;
  const void *a, *b, *c;
  void* d;
};

void run(void* context) {
  const Job& j = *static_cast<Job*>(context);
  const int64_t rows = static_cast<int64_t>(j.d_layout.rows), columns = static_cast<int64_t>(j.d_layout.columns);
  const int64_t depth = static_cast<int64_t>(j.desc.trans_a ? j.a_layout.rows : j.a_layout.columns);
  for (int64_t column = 0; column < columns; column++)
    for (int64_t row = 0; row < rows; row++) {
      double sum = 0;
      for (int64_t k = 0; k < depth; k++) {
        const int64_t left = j.desc.trans_a ? k + row * j.a_layout.step : row + k * j.a_layout.step;
        const int64_t right = j.desc.trans_b ? column + k * j.b_layout.step : k + column * j.b_layout.step;
        sum += read(j.a, j.a_layout.type, left) * read(j.b, j.b_layout.type, right);
      }
      sum *= j.alpha;
      // As with any BLAS, c is not read when beta is 0.
      if (j.beta != 0) sum += j.beta * read(j.c, j.c_layout.type, row + column * j.c_layout.step);
      if (j.desc.epilogue & kEpilogueBias) sum += read(j.desc.bias, j.desc.bias_type, row);
      write(j.d, j.d_layout.type, row + column * j.d_layout.step, sum);
    }
}

bool take(const void* value, size_t bytes, void* to, size_t expected) {
  if (bytes != expected) return false;
  std::memcpy(to, value, bytes);
  return true;
}

using Enqueue = int (*)(void*, void (*)(void*), void*, void (*)(void*));
Enqueue enqueue() {
  void* backend = dlopen(std::getenv("CFGDISTILL_CUDA_LIBRARY"), RTLD_NOW | RTLD_NOLOAD);
  return backend ? reinterpret_cast<Enqueue>(dlsym(backend, "cfgd_emulation_enqueue")) : nullptr;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT size_t cublasLtGetVersion() {
  Dl_info info;
  return dladdr(reinterpret_cast<void*>(&run), &info) && std::strstr(info.dli_fname, ".so.12") ? 120805 : 130002;
}
EXPORT int cublasLtCreate(void** handle) {
  *handle = new int(1);
  return kSuccess;
}
EXPORT int cublasLtDestroy(void* handle) {
  delete static_cast<int*>(handle);
  return kSuccess;
}
EXPORT int cublasLtMatmulDescCreate(Desc** made, int compute, int scale) {
  *made = new Desc{compute, scale};
  return kSuccess;
}
EXPORT int cublasLtMatmulDescDestroy(Desc* desc) {
  delete desc;
  return kSuccess;
}
EXPORT int cublasLtMatmulDescSetAttribute(Desc* desc, int attribute, const void* value, size_t bytes) {
  switch (attribute) {
    case 3: return take(value, bytes, &desc->trans_a, 4) ? kSuccess : kInvalidValue;
    case 4: return take(value, bytes, &desc->trans_b, 4) ? kSuccess : kInvalidValue;
    case 7: return take(value, bytes, &desc->epilogue, 4) ? kSuccess : kInvalidValue;
    case 8: return take(value, bytes, &desc->bias, 8) ? kSuccess : kInvalidValue;
    case 26: return take(value, bytes, &desc->bias_type, 4) ? kSuccess : kInvalidValue;
    default: return kInvalidValue;
  }
}
EXPORT int cublasLtMatrixLayoutCreate(Layout** made, int type, uint64_t rows, uint64_t columns, int64_t step) {
  *made = new Layout{type, rows, columns, step};
  return kSuccess;
}
EXPORT int cublasLtMatrixLayoutDestroy(Layout* layout) {
  delete layout;
  return kSuccess;
}
EXPORT int cublasLtMatmulPreferenceCreate(Preference** made) {
  *made = new Preference();
  return kSuccess;
}
EXPORT int cublasLtMatmulPreferenceDestroy(Preference* preference) {
  delete preference;
  return kSuccess;
}
EXPORT int cublasLtMatmulPreferenceSetAttribute(Preference* preference, int attribute, const void* value, size_t bytes) {
  switch (attribute) {
    case 1: return take(value, bytes, &preference->workspace, 8) ? kSuccess : kInvalidValue;
    case 3: return take(value, bytes, &preference->schemes, 4) ? kSuccess : kInvalidValue;
    case 5:
    case 6:
    case 7:
    case 8: return take(value, bytes, &preference->alignment[attribute - 5], 4) ? kSuccess : kInvalidValue;
    default: return kInvalidValue;
  }
}

/// What the real one documents: types that go together, and steps that hold a column.
static bool supported(const Desc& d, const Layout& a, const Layout& b, const Layout& c, const Layout& r) {
  for (const Layout* l : {&a, &b, &c, &r})
    if (l->step < static_cast<int64_t>(l->rows) || !l->rows || !l->columns) return false;
  const bool types = a.type == b.type && c.type == r.type && (a.type == kReal32 || a.type == kRealBf16) &&
                     (r.type == kReal32 || r.type == a.type) && d.scale == kReal32 &&
                     (d.compute == 68 || (d.compute == 77 && a.type == kReal32));
  const bool bias = d.epilogue == 1 || (d.epilogue == kEpilogueBias && d.bias_type == r.type && d.bias);
  const uint64_t m = d.trans_a ? a.columns : a.rows, k = d.trans_a ? a.rows : a.columns;
  const uint64_t k_too = d.trans_b ? b.columns : b.rows, n = d.trans_b ? b.rows : b.columns;
  return types && bias && k == k_too && r.rows == m && r.columns == n && c.rows == m && c.columns == n;
}

EXPORT int cublasLtMatmulAlgoGetHeuristic(void*, Desc* d, Layout* a, Layout* b, Layout* c, Layout* r, Preference* p,
                                          int wanted, Heuristic* results, int* count) {
  std::string line = "{\"call\":\"heuristic\"," + field("workspace", static_cast<double>(p->workspace)) + "," +
                     field("schemes", p->schemes) + ",\"alignments\":[";
  for (int i = 0; i < 4; i++) line += (i ? "," : "") + number(p->alignment[i]);
  log(line + "]}");
  *count = 0;
  if (at_fault("unsupported") || !supported(*d, *a, *b, *c, *r)) return kNotSupported;
  if (at_fault("no-algorithm") || wanted < 1) return kSuccess;
  *results = {};
  for (int i = 0; i < 4; i++) results->algorithm.data[i] = p->alignment[i];
  results->workspace = at_fault("large-workspace") ? p->workspace + 1 : 1024;
  *count = 1;
  return kSuccess;
}

EXPORT int cublasLtMatmul(void*, Desc* desc, const float* alpha, const void* a, Layout* a_layout, const void* b,
                          Layout* b_layout, const float* beta, const void* c, Layout* c_layout, void* d, Layout* d_layout,
                          const Algorithm* algorithm, void* workspace, size_t workspace_bytes, void* stream) {
  const void* addresses[] = {a, b, c, d};
  bool aligned = workspace && reinterpret_cast<uintptr_t>(workspace) % 256 == 0;
  for (int i = 0; i < 4; i++) aligned = aligned && reinterpret_cast<uintptr_t>(addresses[i]) % algorithm->data[i] == 0;
  if (desc->epilogue & kEpilogueBias) aligned = aligned && reinterpret_cast<uintptr_t>(desc->bias) % 16 == 0;
  log("{\"call\":\"matmul\"," + field("compute", desc->compute) + "," + field("transA", desc->trans_a) + "," +
      field("transB", desc->trans_b) + "," + field("epilogue", desc->epilogue) + "," +
      field("biasType", desc->bias_type) + ",\"a\":" + json(*a_layout) + ",\"b\":" + json(*b_layout) +
      ",\"c\":" + json(*c_layout) + ",\"d\":" + json(*d_layout) + "," + field("alpha", static_cast<double>(*alpha)) + "," +
      field("beta", static_cast<double>(*beta)) + ",\"inPlace\":" + (c == d ? "true" : "false") + "," +
      field("workspace", static_cast<double>(workspace_bytes)) + ",\"aligned\":" + (aligned ? "true" : "false") + "}");
  const Enqueue put = enqueue();
  if (at_fault("refuse") || !aligned || !put || !supported(*desc, *a_layout, *b_layout, *c_layout, *d_layout))
    return kNotSupported;
  auto* job = new Job{*desc, *a_layout, *b_layout, *c_layout, *d_layout, static_cast<double>(*alpha),
                      static_cast<double>(*beta), a, b, c, d};
  return put(stream, run, job, [](void* context) { delete static_cast<Job*>(context); }) == 0 ? kSuccess : 13;
}
