#include "ops/diversity/diversity.h"

#include "addon/arguments.h"
#include "addon/families.h"
#include "addon/host_call.h"

namespace cfgd {
namespace {

void expect_pairs(int64_t samples) {
  if (samples < 2)
    fail(CFGD_SHAPE, "samples", "expected at least 2 per prompt, to compare them, got %lld",
         static_cast<long long>(samples));
}

// (embeddings, prompts, samples, dimensions, baselines?, reward, advantage, diversity, dtype)
Napi::Value diversity_reward_now(const Napi::CallbackInfo& info) {
  DiversityRewardArgs args{};
  args.prompts = integer_of(info[1], "prompts", 1, INT32_MAX);
  args.samples = integer_of(info[2], "samples", 0, INT32_MAX);
  args.dimensions = integer_of(info[3], "dimensions", 1, INT32_MAX);
  expect_pairs(args.samples);
  const Shape shape{args.prompts, args.samples, args.dimensions};
  const DType dtype = host_dtype_of(info[8], "dtype");
  HostCall call;
  args.embeddings = call.reads(host_elements_of(info[0], "embeddings", dtype, shape.elements()), "embeddings");
  if (!is_absent(info[4])) args.baselines = call.reads(floats_of(info[4], "baselines", args.prompts), "baselines");
  const int64_t generations = args.prompts * args.samples;
  args.reward = call.writes(floats_of(info[5], "reward", generations), "reward");
  args.advantage = call.writes(floats_of(info[6], "advantage", generations), "advantage");
  args.diversity = call.writes(floats_of(info[7], "diversity", args.prompts), "diversity");
  run_now({Op::diversity_reward, dtype}, bytes_of(args));
  return info.Env().Undefined();
}

// (embeddings [prompts, samples, dimensions] of float32 or bfloat16, baselines?): [reward, advantage, diversity].
Napi::Value diversity_reward(const Napi::CallbackInfo& info) {
  DiversityRewardArgs args{};
  const Tensor& embeddings = elements_of(info[0], "embeddings", {-1, -1, -1});
  args.prompts = embeddings.shape[0];
  args.samples = embeddings.shape[1];
  args.dimensions = embeddings.shape[2];
  expect_pairs(args.samples);
  if (!args.prompts || !args.dimensions)
    fail(CFGD_SHAPE, "embeddings", "expected at least one prompt and one dimension, got %s",
         embeddings.shape.text().c_str());
  std::vector<const Tensor*> inputs = {&embeddings};
  if (!is_absent(info[1])) {
    const Tensor& baselines = tensor_of(info[1], "baselines", DType::f32, {args.prompts});
    expect_same_device(embeddings, "embeddings", baselines, "baselines");
    args.baselines = baselines.data();
    inputs.push_back(&baselines);
  }
  Device& device = embeddings.device();
  Tensor outputs[] = {device.empty(DType::f32, {args.prompts, args.samples}),
                      device.empty(DType::f32, {args.prompts, args.samples}), device.empty(DType::f32, {args.prompts})};
  args.embeddings = embeddings.data();
  args.reward = outputs[0].data();
  args.advantage = outputs[1].data();
  args.diversity = outputs[2].data();
  submit(info.Env(), {Op::diversity_reward, embeddings.dtype}, bytes_of(args), inputs,
         {&outputs[0], &outputs[1], &outputs[2]});
  Napi::Array result = Napi::Array::New(info.Env(), 3);
  for (uint32_t i = 0; i < 3; i++) result.Set(i, TensorObject::wrap(info.Env(), std::move(outputs[i])));
  return result;
}

}  // namespace

void export_diversity(Napi::Object exports) {
  export_function<diversity_reward_now>(exports, "diversityRewardNow");
  export_function<diversity_reward>(exports, "diversityReward");
}

}  // namespace cfgd
