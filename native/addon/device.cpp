#include "addon/device.h"

#include "addon/arguments.h"
#include "cpu/backend.h"
#include "cpu/profile.h"
#include "cuda/library.h"

namespace cfgd {
namespace {

/// The index of 'cuda:<index>', or −1.
int cuda_index(const std::string& id) {
  const bool fits = id.rfind("cuda:", 0) == 0 && id.size() > 5 && id.size() < 9 &&
                    id.find_first_not_of("0123456789", 5) == std::string::npos;
  return fits ? std::stoi(id.substr(5)) : -1;
}

Napi::Value device_name(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), device_of(info[0]).name());
}

Napi::Value cuda_count(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Device::cuda_count());
}

Napi::Value synchronize(const Napi::CallbackInfo& info) {
  Device& device = device_of(info[0]);
  return promised(
      info.Env(), device,
      [&device] { return device.synchronize(); },
      [](Napi::Env env) -> Napi::Value { return env.Undefined(); });
}

Napi::Value memory(const Napi::CallbackInfo& info) {  // (device, resetPeak)
  Allocator& allocator = device_of(info[0]).allocator();
  const MemoryStatistics now = allocator.statistics();
  if (boolean_of(info[1], "resetPeak")) allocator.reset_peak();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("used", static_cast<double>(now.used));
  result.Set("reserved", static_cast<double>(now.reserved));
  result.Set("peak", static_cast<double>(now.peak));
  return result;
}

Napi::Value set_memory_limit(const Napi::CallbackInfo& info) {  // (device, bytes | null)
  device_of(info[0]).allocator().set_limit(
      is_absent(info[1]) ? UINT64_MAX : static_cast<uint64_t>(integer_of(info[1], "bytes", 0, int64_t{1} << 53)));
  return info.Env().Undefined();
}

Napi::Value trim_memory(const Napi::CallbackInfo& info) {  // (device): a promise
  Device& device = device_of(info[0]);
  return promised(
      info.Env(), device,
      [&device, unused = device.allocator().take_unused()]() -> std::shared_ptr<const Error> {
        device.release(unused);
        return nullptr;
      },
      [](Napi::Env env) -> Napi::Value { return env.Undefined(); });
}

// (device, option, on)
Napi::Value set_option(const Napi::CallbackInfo& info) {
  Device& device = device_of(info[0]);
  const std::string name = string_of(info[1], "option");
  if (name != "tf32") fail(CFGD_VALUE, "option", "expected 'tf32', got '%s'", name.c_str());
  device.set_option(CFGD_OPTION_TF32, boolean_of(info[2], "on"));
  return info.Env().Undefined();
}

Napi::Value start_timer(const Napi::CallbackInfo& info) {  // (device): a promise
  Device& device = device_of(info[0]);
  return promised(
      info.Env(), device,
      [&device] {
        double unused = 0;
        return device.timer(CFGD_TIMER_START, unused);
      },
      [](Napi::Env env) -> Napi::Value { return env.Undefined(); });
}

Napi::Value stop_timer(const Napi::CallbackInfo& info) {  // (device): a promise of milliseconds
  Device& device = device_of(info[0]);
  auto milliseconds = std::make_shared<double>(0);
  return promised(
      info.Env(), device, [&device, milliseconds] { return device.timer(CFGD_TIMER_STOP, *milliseconds); },
      [milliseconds](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, *milliseconds); });
}

// (on?): what the CPU's queue has run since profiling began; then begins anew or stops
Napi::Value profile_operations(const Napi::CallbackInfo& info) {
  Napi::Array list = Napi::Array::New(info.Env());
  for (const OperationTime& time : profile()) {
    Napi::Object entry = Napi::Object::New(info.Env());
    entry.Set("name", time.name);
    entry.Set("shape", time.shape);
    entry.Set("calls", static_cast<double>(time.calls));
    entry.Set("seconds", time.seconds);
    entry.Set("flops", time.flops);
    entry.Set("bytes", time.bytes);
    list.Set(list.Length(), entry);
  }
  if (!is_absent(info[0])) set_profiling(boolean_of(info[0], "on"));
  return list;
}

// (rounds): flops
Napi::Value multiply_adds(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), cpu_multiply_adds(integer_of(info[0], "rounds", 1, int64_t{1} << 40)));
}

Napi::Value cuda_open(const Napi::CallbackInfo& info) {  // (device): whether this process has it open
  return Napi::Boolean::New(info.Env(), Device::cuda_open(cuda_index(string_of(info[0], "device"))));
}

Napi::Value cuda_library_file(const Napi::CallbackInfo& info) {  // { path: string | null, tried: string[] }
  Napi::Object result = Napi::Object::New(info.Env());
  const std::string path = cuda_library();
  result.Set("path", path.empty() ? info.Env().Null() : Napi::String::New(info.Env(), path).As<Napi::Value>());
  Napi::Array tried = Napi::Array::New(info.Env());
  for (const std::string& candidate : cuda_candidates()) tried.Set(tried.Length(), candidate);
  result.Set("tried", tried);
  return result;
}

Napi::Value cuda_missing(const Napi::CallbackInfo& info) {  // how many of the CPU's operations CUDA has not
  return Napi::Number::New(info.Env(), static_cast<double>(Device::missing(cuda_backend()).size()));
}

Napi::Value cuda_report(const Napi::CallbackInfo& info) {  // JSON
  char text[16384];
  cuda_backend()->report(text, sizeof text);
  return Napi::String::New(info.Env(), text);
}

}  // namespace

Device& device_of(const Napi::Value& value) {
  const std::string id = string_of(value, "device");
  if (id == "cpu") return Device::cpu();
  if (const int index = cuda_index(id); index >= 0) return Device::cuda(index);
  fail(CFGD_DEVICE, "device", "expected 'cpu' or 'cuda:<index>', got '%s'", id.c_str());
}

void export_devices(Napi::Object exports) {
  export_function<device_name>(exports, "deviceName");
  export_function<cuda_count>(exports, "cudaCount");
  export_function<synchronize>(exports, "synchronize");
  export_function<memory>(exports, "memory");
  export_function<set_memory_limit>(exports, "setMemoryLimit");
  export_function<trim_memory>(exports, "trimMemory");
  export_function<set_option>(exports, "setOption");
  export_function<start_timer>(exports, "startTimer");
  export_function<stop_timer>(exports, "stopTimer");
  export_function<profile_operations>(exports, "profile");
  export_function<multiply_adds>(exports, "multiplyAdds");
  export_function<cuda_open>(exports, "cudaOpen");
  export_function<cuda_library_file>(exports, "cudaLibrary");
  export_function<cuda_missing>(exports, "cudaMissing");
  export_function<cuda_report>(exports, "cudaReport");
}

}  // namespace cfgd
