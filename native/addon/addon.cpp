// Entry of the addon: Node-API only. Checks arguments, makes tensors, sends operations to a device.
#include <napi.h>

#include "addon/arguments.h"
#include "addon/device.h"
#include "addon/environment.h"
#include "addon/families.h"
#include "addon/stay_loaded.h"
#include "addon/tensor_object.h"
#include "cpu/backend.h"
#include "tensor/thread_pool.h"

namespace cfgd {
#ifdef CFGD_FUZZER
void export_fuzzer(Napi::Object exports);  // test/fuzz/driver.cpp
#endif

namespace {

// (classes): an array of error classes by native error code.
Napi::Value set_error_classes(const Napi::CallbackInfo& info) {
  if (!info[0].IsArray()) fail(CFGD_VALUE, "classes", "expected an array of classes");
  Environment::of(info.Env()).error_classes = Napi::Persistent(info[0].As<Napi::Object>());
  return info.Env().Undefined();
}

Napi::Value isa(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), cpu_isa()); }

Napi::Value threads(const Napi::CallbackInfo& info) {  // (count | undefined): how many are in use
  ThreadPool& pool = ThreadPool::instance();
  if (!is_absent(info[0])) pool.set_threads(static_cast<int>(integer_of(info[0], "threads", 1, 256)));
  return Napi::Number::New(info.Env(), pool.threads());
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  stay_loaded();
  env.SetInstanceData(new Environment(env));
  Environment::of(env).error_classes = Napi::Persistent(Napi::Array::New(env).As<Napi::Object>());
  TensorObject::define(env, exports);
  export_function<set_error_classes>(exports, "setErrorClasses");
  export_function<isa>(exports, "isa");
  export_function<threads>(exports, "threads");
  export_tensors(exports);
  export_devices(exports);
  export_programs(exports);
  export_families(exports);
#ifdef CFGD_FUZZER
  export_fuzzer(exports);
#endif
  return exports;
}

}  // namespace
}  // namespace cfgd

Napi::Object initialize_addon(Napi::Env env, Napi::Object exports) { return cfgd::initialize(env, exports); }

NODE_API_MODULE(cfgdistill, initialize_addon)
