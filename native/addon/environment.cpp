#include "addon/environment.h"

namespace cfgd {

Mailbox::Mailbox(Napi::Env env) : env_(env) {
  napi_value name = Napi::String::New(env, "cfgdistill");
  napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this,
                                                       deliver, &function_);
  if (status != napi_ok) throw Napi::Error::New(env, "cannot create a thread-safe function");
  napi_unref_threadsafe_function(env, function_);
}

void Mailbox::post(std::unique_ptr<Letter> letter) {
  std::lock_guard lock(mutex_);
  if (function_ && napi_call_threadsafe_function(function_, letter.get(), napi_tsfn_nonblocking) == napi_ok)
    letter.release();  // `deliver` has it
}

void Mailbox::expect() {
  if (expected_++ == 0) napi_ref_threadsafe_function(env_, function_);
}

void Mailbox::close() {
  std::lock_guard lock(mutex_);
  if (function_) napi_release_threadsafe_function(function_, napi_tsfn_abort);
  function_ = nullptr;
}

void Mailbox::deliver(napi_env env, napi_value, void* context, void* data) {
  const std::unique_ptr<Letter> letter(static_cast<Letter*>(data));
  if (!env) return;  // the environment is closing
  auto* mailbox = static_cast<Mailbox*>(context);
  if (--mailbox->expected_ == 0) napi_unref_threadsafe_function(env, mailbox->function_);
  Napi::HandleScope scope(env);
  try {
    letter->open(env);
    Environment::of(env).external_memory->settle(env);
  } catch (const std::exception&) {
    // JavaScript cannot be called any more: a worker is being terminated, and its promises with it. Or there is not even
    // the memory to say so.
  }
}

static Napi::FunctionReference persistent_global(Napi::Env env, const char* name) {
  return Napi::Persistent(env.Global().Get(name).As<Napi::Function>());
}

Environment::Environment(Napi::Env env)
    : float32_array(persistent_global(env, "Float32Array")),
      int32_array(persistent_global(env, "Int32Array")),
      uint16_array(persistent_global(env, "Uint16Array")),
      mailbox(std::make_shared<Mailbox>(env)) {
  // The hook runs before the environment's objects go, while execution threads may still post.
  env.AddCleanupHook([box = mailbox.get()] {
    box->close();
    Device::leave();
  });
}

Environment::~Environment() {
  // The environment may end in the midst of a recording.
  if (recording && Program::recording() == recording.get()) Program::set_recording(nullptr);
}

Napi::Value to_js(Napi::Env env, const Error& error) {
  Napi::Object classes = Environment::of(env).error_classes.Value();
  Napi::Value made = classes.Get(static_cast<uint32_t>(error.code()));
  if (!made.IsFunction()) return Napi::Error::New(env, error.what()).Value();
  napi_value argument = error.argument().empty() ? static_cast<napi_value>(env.Undefined())
                                                 : static_cast<napi_value>(Napi::String::New(env, error.argument()));
  return made.As<Napi::Function>().New({Napi::String::New(env, error.what()), argument});
}

}  // namespace cfgd
