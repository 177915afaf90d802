// libFuzzer inside the addon, for fuzzing builds only (scripts/fuzz.mjs). libFuzzer runs on a thread of its own and
// hands each input to JavaScript, whose event loop goes on turning: promises settle, finalisers run.
#include <napi.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "addon/environment.h"

extern "C" int LLVMFuzzerRunDriver(int* argc, char*** argv, int (*callback)(const uint8_t*, size_t));
extern "C" void __sanitizer_cov_8bit_counters_init(uint8_t* begin, uint8_t* end);
extern "C" void __sanitizer_cov_pcs_init(const uintptr_t* begin, const uintptr_t* end);

namespace cfgd {
void export_fuzzer(Napi::Object exports);

namespace {

constexpr std::chrono::seconds kHang{20};

struct Fuzzer {
  std::vector<std::string> arguments;
  Napi::ThreadSafeFunction on_input;
  std::mutex mutex;
  std::condition_variable answered;
  bool waiting = false, failed = false;
};
Fuzzer* fuzzer = nullptr;

int run_one(const uint8_t* data, size_t size) {
  {
    std::lock_guard lock(fuzzer->mutex);
    fuzzer->waiting = true;
    fuzzer->failed = false;
  }
  fuzzer->on_input.BlockingCall([data, size](Napi::Env env, Napi::Function on_input) {
    on_input.Call({Napi::Buffer<uint8_t>::Copy(env, data, size)});
  });
  std::unique_lock lock(fuzzer->mutex);
  if (!fuzzer->answered.wait_for(lock, kHang, [] { return !fuzzer->waiting; })) {
    std::fprintf(stderr, "no answer to this input within %lld s\n", static_cast<long long>(kHang.count()));
    abort();  // libFuzzer keeps the input
  }
  if (fuzzer->failed) abort();
  return 0;
}

// (arguments, onInput): returns at once; the process ends with libFuzzer's run.
Napi::Value fuzz(const Napi::CallbackInfo& info) {
  fuzzer = new Fuzzer;
  const auto arguments = info[0].As<Napi::Array>();
  for (uint32_t i = 0; i < arguments.Length(); i++)
    fuzzer->arguments.push_back(arguments.Get(i).As<Napi::String>().Utf8Value());
  fuzzer->on_input = Napi::ThreadSafeFunction::New(info.Env(), info[1].As<Napi::Function>(), "fuzzer", 0, 1);
  // libFuzzer ends by exit(), on its thread, while JavaScript's goes on: nothing may be torn down then.
  on_exit([](int status, void*) { _exit(status); }, nullptr);
  std::thread([] {
    std::vector<char*> pointers;
    for (std::string& argument : fuzzer->arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    int argc = static_cast<int>(pointers.size()) - 1;
    char** argv = pointers.data();
    exit(LLVMFuzzerRunDriver(&argc, &argv, run_one));
  }).detach();
  return info.Env().Undefined();
}

// (ok): ends the input that onInput was called with; not ok counts as a crash.
Napi::Value answer(const Napi::CallbackInfo& info) {
  const bool ok = info[0].As<Napi::Boolean>().Value();
  std::lock_guard lock(fuzzer->mutex);
  fuzzer->waiting = false;
  fuzzer->failed = !ok;
  fuzzer->answered.notify_one();
  return info.Env().Undefined();
}

// (count): as many coverage counters for instrumented JavaScript, which libFuzzer reads and clears.
Napi::Value coverage_counters(const Napi::CallbackInfo& info) {
  const uint32_t count = info[0].As<Napi::Number>().Uint32Value();
  auto* counters = new uint8_t[count]();
  auto* places = new uintptr_t[2 * size_t{count}]();  // pairs of an address, here a made-up one, and flags
  for (uint32_t i = 0; i < count; i++) places[2 * size_t{i}] = reinterpret_cast<uintptr_t>(counters + i);
  __sanitizer_cov_8bit_counters_init(counters, counters + count);
  __sanitizer_cov_pcs_init(places, places + 2 * size_t{count});
  return Napi::Uint8Array::New(info.Env(), count, Napi::ArrayBuffer::New(info.Env(), counters, count), 0);
}

}  // namespace

void export_fuzzer(Napi::Object exports) {
  export_function<fuzz>(exports, "fuzz");
  export_function<answer>(exports, "answer");
  export_function<coverage_counters>(exports, "coverageCounters");
}

}  // namespace cfgd
