#include "addon/arguments.h"
#include "addon/device.h"

namespace cfgd {
namespace {

// Distinguishes our objects from any other external value a caller may pass, also one of another copy of this library.
const napi_type_tag kTag = {0x3b9e60d27c5f41a8, reinterpret_cast<uintptr_t>(&kTag)};

Napi::Value begin_program(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  if (Program::recording()) fail(CFGD_VALUE, "program", "another program is being recorded");
  environment.recording = std::make_shared<Program>();
  Program::set_recording(environment.recording.get());
  return info.Env().Undefined();
}

Napi::Value end_program(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  if (!environment.recording) fail(CFGD_VALUE, "program", "no program is being recorded");
  auto* program = new std::shared_ptr<Program>(std::move(environment.recording));
  environment.recording = nullptr;
  Program::set_recording(nullptr);
  auto external = Napi::External<std::shared_ptr<Program>>::New(
      info.Env(), program, [](Napi::Env, std::shared_ptr<Program>* p) { delete p; });
  external.TypeTag(&kTag);
  return external;
}

std::shared_ptr<Program>& program_of(const Napi::Value& value) {
  if (!value.IsExternal() || !value.As<Napi::External<std::shared_ptr<Program>>>().CheckTypeTag(&kTag))
    fail(CFGD_VALUE, "program", "expected a program");
  return *value.As<Napi::External<std::shared_ptr<Program>>>().Data();
}

Napi::Value replay_program(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Program>& program = program_of(info[0]);
  if (!program) fail(CFGD_VALUE, "program", "the program was disposed");
  if (Program::recording())
    fail(CFGD_VALUE, "program", "expected only operations while a program is recorded, got the replay of another");
  if (Device* device = program->device()) device->replay(program);
  return info.Env().Undefined();
}

Napi::Value dispose_program(const Napi::CallbackInfo& info) {
  program_of(info[0]) = nullptr;
  return info.Env().Undefined();
}

}  // namespace

void export_programs(Napi::Object exports) {
  export_function<begin_program>(exports, "beginProgram");
  export_function<end_program>(exports, "endProgram");
  export_function<replay_program>(exports, "replayProgram");
  export_function<dispose_program>(exports, "disposeProgram");
}

}  // namespace cfgd
