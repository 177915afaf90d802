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

/// Settles a promise with what a job on a device came to. `Resolve` makes the value, Napi::Value(Napi::Env).
template <class Resolve>
class Answer final : public Letter {
 public:
  Answer(Napi::Env env, Resolve resolve) : deferred_(env), resolve_(std::move(resolve)) {}
  Napi::Value promise() const { return deferred_.Promise(); }
  void open(Napi::Env env) override {
    if (error) return deferred_.Reject(to_js(env, *error));
    Napi::Value failure;
    try {
      return deferred_.Resolve(resolve_(env));
    } catch (const Error& thrown) {  // no memory for the result
      failure = to_js(env, thrown);
    } catch (const Napi::Error& thrown) {
      failure = thrown.Value();
    }
    deferred_.Reject(failure);
  }

  std::shared_ptr<const Error> error;

 private:
  Napi::Promise::Deferred deferred_;
  Resolve resolve_;
};

/// Runs a job in the device's queue, whose outcome settles the promise.
template <class Job, class Resolve>
Napi::Value promised(Napi::Env env, Device& device, Job job, Resolve resolve) {
  auto answer = std::make_unique<Answer<Resolve>>(env, std::move(resolve));
  const Napi::Value promise = answer->promise();
  std::shared_ptr<Mailbox> mailbox = Environment::of(env).mailbox;
  device.enqueue([mailbox, answer = answer.get(), job = std::move(job)]() mutable {
    std::unique_ptr<Letter> letter(answer);
    answer->error = job();
    mailbox->post(std::move(letter));
  });
  answer.release();  // every job runs
  mailbox->expect();
  return promise;
}

/// Exports what devices tell and take: names, memory, settings, time.
void export_devices(Napi::Object exports);
/// Exports the recording and replaying of programs.
void export_programs(Napi::Object exports);

}  // namespace cfgd
