// Devices as JavaScript names them, and promises that their queues keep.
#pragma once
#include <napi.h>

#include <memory>
#include <utility>

#include "addon/environment.h"
#include "tensor/device.h"

namespace cfgd {

/// The device called 'cpu' or 'cuda:<index>'; throws CFGD_DEVICE when there is none.
Device& device_of(const Napi::Value& value);

/// Posts to the queue a job whose outcome settles a promise on this thread.
template <class Job, class Resolve>
Napi::Value promised(Napi::Env env, Device& device, Job job, Resolve resolve) {
  auto deferred = std::make_shared<Napi::Promise::Deferred>(env);
  std::shared_ptr<Mailbox> mailbox = Environment::of(env).mailbox;
  mailbox->expect();
  device.queue().push([mailbox, deferred, job = std::move(job), resolve = std::move(resolve)]() mutable {
    std::shared_ptr<const Error> error = job();
    mailbox->post([deferred = std::move(deferred), error, resolve = std::move(resolve)](Napi::Env env) {
      if (error) return deferred->Reject(to_js(env, *error));
      try {
        deferred->Resolve(resolve(env));
      } catch (const Napi::Error& failure) {  // no memory for the result
        deferred->Reject(failure.Value());
      }
    });
  });
  return deferred->Promise();
}

/// Exports what devices tell and take: names, memory, settings, time.
void export_devices(Napi::Object exports);
/// Exports the recording and replaying of programs.
void export_programs(Napi::Object exports);

}  // namespace cfgd
