#include "cpu/backend.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include "cpu/families.h"
#include "cpu/isa.h"
#include "cpu/kernel.h"
#include "cpu/profile.h"
#include "cpu/widened.h"
#include "tensor/aligned_memory.h"
#include "tensor/thread_pool.h"

namespace cfgd {

#define CFGD_DECLARE(family) void register_##family(CpuTable& table);
#define CFGD_DECLARE_ACCURACY Accuracy measure_accuracy(MathFunction, uint32_t, uint32_t, int64_t, const Parallel&);
namespace baseline {
CFGD_FAMILIES(CFGD_DECLARE)
CFGD_DECLARE_ACCURACY
}
#if defined(CFGD_X86)
namespace avx2 {
CFGD_FAMILIES(CFGD_DECLARE)
CFGD_DECLARE_ACCURACY
}
namespace avx512 {
CFGD_FAMILIES(CFGD_DECLARE)
CFGD_DECLARE_ACCURACY
}
#endif
#undef CFGD_DECLARE
#undef CFGD_DECLARE_ACCURACY

namespace {

CpuTable make_table(Isa isa) {
  CpuTable table;
#define CFGD_REGISTER_BASELINE(family) baseline::register_##family(table);
#define CFGD_REGISTER_AVX2(family) avx2::register_##family(table);
#define CFGD_REGISTER_AVX512(family) avx512::register_##family(table);
  CFGD_FAMILIES(CFGD_REGISTER_BASELINE)
#if defined(CFGD_X86)
  if (isa == Isa::avx2) {
    CFGD_FAMILIES(CFGD_REGISTER_AVX2)
  } else if (isa == Isa::avx512) {
    CFGD_FAMILIES(CFGD_REGISTER_AVX512)
  }
#endif
  (void)isa;
  return table;
}

const CpuTable& table() {
  static const CpuTable* made = new CpuTable(make_table(detect_isa()));
  return *made;
}

int32_t device_count(int32_t* count, cfgd_status*) {
  *count = 1;
  return CFGD_OK;
}

int32_t open(int32_t, void** device, cfgd_status*) {
  *device = nullptr;
  return CFGD_OK;
}

void close(void*) {}

void describe(void*, char* name, uint32_t bytes) { describe_cpu(name, bytes); }

void* allocate(void*, uint64_t bytes, cfgd_status* status) {
  void* memory = allocate_aligned(bytes);
  if (!memory)
    cfgd_fail(status, CFGD_MEMORY, "", "out of memory: the system gave no %llu bytes",
              static_cast<unsigned long long>(bytes));
  return memory;
}

void release(void*, void* memory) { release_aligned(memory); }

int32_t copy(void*, void* to, const void* from, uint64_t bytes, int32_t, cfgd_status*) {
  std::memcpy(to, from, bytes);
  return CFGD_OK;
}

int32_t launch(void*, uint32_t op, const void* args, uint32_t bytes, cfgd_status* status) {
  if (!profiling()) return cpu_launch(op, args, bytes, status);
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  const int32_t code = cpu_launch(op, args, bytes, status);
  record_launch(op, args, std::chrono::duration<double>(Clock::now() - begin).count());
  return code;
}

int32_t synchronize(void*, cfgd_status*) { return CFGD_OK; }

int32_t supports(uint32_t op) {
  const Variant variant = Variant::of_code(op);
  // float16 tensors can be stored and merged; the other kernels take it in host memory alone.
  const bool merges = variant.op == Op::lerp || variant.op == Op::weighted_average || variant.op == Op::slerp;
  if (variant.type == DType::f16 && !merges) return 0;
  return table().find(variant) || has_widened(variant);
}

// No option that there is means anything here.
int32_t set_option(void*, uint32_t, int64_t, cfgd_status*) { return CFGD_OK; }

// Execution thread only, whose operations are done when they return.
int32_t timer(void*, int32_t action, double* milliseconds, cfgd_status* status) {
  using Clock = std::chrono::steady_clock;
  static Clock::time_point started;
  static bool timing = false;
  const bool start = action == CFGD_TIMER_START;
  if (timing == start)
    return cfgd_fail(status, CFGD_VALUE, "timer", start ? "one is running already" : "none is running");
  timing = start;
  if (start)
    started = Clock::now();
  else
    *milliseconds = std::chrono::duration<double, std::milli>(Clock::now() - started).count();
  return CFGD_OK;
}

void report(char* json, uint32_t bytes) { std::snprintf(json, bytes, "{}"); }

}  // namespace

MeasureAccuracy cpu_math_accuracy() {
#if defined(CFGD_X86)
  if (detect_isa() == Isa::avx512) return avx512::measure_accuracy;
  if (detect_isa() == Isa::avx2) return avx2::measure_accuracy;
#endif
  return baseline::measure_accuracy;
}

const char* cpu_isa() { return name_of(detect_isa()); }

double cpu_multiply_adds(int64_t rounds) {
  return table().multiply_adds(rounds, ThreadPool::instance().parallel());
}

int32_t cpu_launch(uint32_t op, const void* args, uint32_t bytes, cfgd_status* status) {
  const Variant variant = Variant::of_code(op);
  const CpuKernel kernel = table().find(variant);
  if (!kernel && variant.type == DType::f32)
    return cfgd_fail(status, CFGD_DEVICE, "", "operation %u has no CPU kernel", op);
  try {
    if (!kernel) return launch_widened(variant, args, bytes, status);
    return kernel(args, bytes, ThreadPool::instance().parallel(), status);
  } catch (const std::bad_alloc&) {
    return cfgd_fail(status, CFGD_MEMORY, "", "out of memory for the scratch space of operation %u", op);
  } catch (const std::exception& error) {
    return cfgd_fail(status, CFGD_DEVICE, "", "operation %u: %s", op, error.what());
  }
}

const cfgd_backend* cpu_backend() {
  static const cfgd_backend backend = {
      CFGD_BACKEND_ABI, sizeof(cfgd_backend), device_count, open,    close,   describe, allocate,
      release,          copy,                 launch,       synchronize, supports,
      nullptr,          nullptr,              nullptr,      nullptr, set_option, timer, report};
  return &backend;
}

}  // namespace cfgd
