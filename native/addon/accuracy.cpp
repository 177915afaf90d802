#include "cpu/accuracy.h"

#include "addon/arguments.h"
#include "addon/families.h"
#include "cpu/backend.h"
#include "tensor/thread_pool.h"

namespace cfgd {
namespace {

constexpr const char* kFunctions[] = {"exp", "exp_scaled", "exp_negative", "log"};
static_assert(sizeof kFunctions / sizeof *kFunctions == static_cast<size_t>(MathFunction::count));

// (function, first, step, count): { ulps, at, wrong, wrongAt } of the numbers whose bits are first + i · step, i < count.
Napi::Value math_accuracy(const Napi::CallbackInfo& info) {
  const std::string name = string_of(info[0], "function");
  int32_t function = 0;
  while (function < static_cast<int32_t>(MathFunction::count) && name != kFunctions[function]) function++;
  if (function == static_cast<int32_t>(MathFunction::count))
    fail(CFGD_VALUE, "function", "expected 'exp', 'exp_scaled', 'exp_negative' or 'log', got '%s'", name.c_str());
  const auto first = static_cast<uint32_t>(integer_of(info[1], "first", 0, UINT32_MAX));
  const auto step = static_cast<uint32_t>(integer_of(info[2], "step", 1, UINT32_MAX));
  const int64_t count = integer_of(info[3], "count", 1, int64_t{1} << 32);
  const Accuracy found = cpu_math_accuracy()(static_cast<MathFunction>(function), first, step, count,
                                             ThreadPool::instance().parallel());
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("ulps", found.ulps);
  result.Set("at", found.at);
  result.Set("wrong", static_cast<double>(found.wrong));
  result.Set("wrongAt", found.wrong_at);
  return result;
}

}  // namespace

void export_accuracy(Napi::Object exports) { export_function<math_accuracy>(exports, "mathAccuracy"); }

}  // namespace cfgd
