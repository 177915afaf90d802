// State of one JavaScript environment (the main thread or a worker): its classes, its pending reads, its recorder.
#pragma once
#include <napi.h>

#include <memory>
#include <mutex>

#include "tensor/device.h"

namespace cfgd {

/// What an execution thread has for a JavaScript thread. Made before the work begins, so that afterwards no memory is
/// needed to tell how it went.
class Letter {
 public:
  virtual ~Letter() = default;
  /// On the JavaScript thread.
  virtual void open(Napi::Env env) = 0;
};

/// Carries letters from execution threads to one JavaScript thread. Outlives its environment: what arrives after the
/// environment has closed is dropped.
class Mailbox {
 public:
  explicit Mailbox(Napi::Env env);
  /// From any thread.
  void post(std::unique_ptr<Letter> letter);
  /// On the JavaScript thread: the process stays alive while something is awaited.
  void expect();
  void close();

 private:
  static void deliver(napi_env env, napi_value, void* context, void* letter);

  std::mutex mutex_;
  napi_env env_;
  napi_threadsafe_function function_ = nullptr;
  int expected_ = 0;  // JavaScript thread only
};

/// The bytes behind tensor objects, told to the garbage collector, for which a tensor is a few bytes only. Told seldom: it
/// answers a rise by a collection, and most tensors are disposed within the turn of the event loop that made them.
class ExternalMemory {
 public:
  /// On the JavaScript thread.
  void add(Napi::BasicEnv env, int64_t bytes) {
    now_ += bytes;
    tell(env, kMost);
  }
  /// From a finaliser, too.
  void remove(int64_t bytes) { now_ -= bytes; }
  /// Between two turns.
  void settle(Napi::BasicEnv env) { tell(env, kMost / 4); }

 private:
  static constexpr int64_t kMost = int64_t{512} << 20;
  void tell(Napi::BasicEnv env, int64_t untold) {
    if (now_ - told_ < untold && told_ - now_ < untold) return;
    Napi::MemoryManagement::AdjustExternalMemory(env, now_ - told_);
    told_ = now_;
  }
  int64_t now_ = 0, told_ = 0;
};

class Environment {
 public:
  explicit Environment(Napi::Env env);
  ~Environment();
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  Napi::FunctionReference tensor_class;
  /// Error classes by cfgd_code, set by JavaScript once.
  Napi::ObjectReference error_classes;
  /// Float32Array, Int32Array, Uint16Array. Node-API's own functions end the process when there is no memory for an array;
  /// these throw.
  Napi::FunctionReference float32_array, int32_array, uint16_array;
  std::shared_ptr<Mailbox> mailbox;
  /// Outlives the environment, as tensor objects may do by a moment.
  std::shared_ptr<ExternalMemory> external_memory = std::make_shared<ExternalMemory>();
  /// Where operations go instead of the queue while a program is recorded.
  std::shared_ptr<Program> recording;
};

/// The JavaScript error for a native one.
Napi::Value to_js(Napi::Env env, const Error& error);

/// Runs `body`, turning native errors into JavaScript exceptions.
template <class Body>
Napi::Value guarded(const Napi::CallbackInfo& info, const Body& body) {
  try {
    return body();
  } catch (const Error& error) {
    napi_throw(info.Env(), to_js(info.Env(), error));
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  } catch (const std::bad_alloc&) {
    napi_throw(info.Env(), to_js(info.Env(), Error(CFGD_MEMORY, "", "out of memory")));
  } catch (const std::exception& error) {
    Napi::Error::New(info.Env(), error.what()).ThrowAsJavaScriptException();
  }
  return info.Env().Undefined();
}

/// Exports `name` as a function of signature Napi::Value(const Napi::CallbackInfo&), guarded.
template <Napi::Value (*F)(const Napi::CallbackInfo&)>
void export_function(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New(
                        exports.Env(),
                        [](const Napi::CallbackInfo& info) { return guarded(info, [&] { return F(info); }); }, name));
}

}  // namespace cfgd
