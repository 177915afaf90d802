// A tensor as a JavaScript object, opaque to everything but this addon.
#pragma once
#include <napi.h>

#include "addon/environment.h"
#include "tensor/device.h"

namespace cfgd {

class TensorObject : public Napi::ObjectWrap<TensorObject> {
 public:
  static void define(Napi::Env env, Napi::Object exports);
  static Napi::Value wrap(Napi::Env env, Tensor tensor);
  /// The tensor behind a value; throws CFGD_VALUE when it is no tensor or was disposed.
  static const Tensor& unwrap(const Napi::Value& value, const char* argument);

  explicit TensorObject(const Napi::CallbackInfo& info);
  ~TensorObject() override;
  void Finalize(Napi::BasicEnv env) override;

 private:
  void adopt(Napi::Env env, Tensor tensor);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  Napi::Value disposed(const Napi::CallbackInfo& info);
  Napi::Value shape(const Napi::CallbackInfo& info);
  Napi::Value dtype(const Napi::CallbackInfo& info);
  Napi::Value device(const Napi::CallbackInfo& info);
  Napi::Value view(const Napi::CallbackInfo& info);
  Napi::Value write(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);

  void release();

  Tensor tensor_;
  std::shared_ptr<ExternalMemory> external_memory_;
  int64_t external_bytes_ = 0;
};

/// Exports the creation of tensors.
void export_tensors(Napi::Object exports);

}  // namespace cfgd
