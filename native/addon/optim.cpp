#include "ops/optim/optim.h"

#include <algorithm>
#include <cmath>

#include "addon/families.h"
#include "addon/layers.h"

namespace cfgd {
namespace {

/// Float32 tensors of one device, at least one.
std::vector<const Tensor*> tensors_of(const std::vector<Napi::Value>& list, const char* argument) {
  if (list.empty()) fail(CFGD_VALUE, argument, "expected at least one tensor, got none");
  std::vector<const Tensor*> tensors;
  for (const Napi::Value& element : list) {
    tensors.push_back(&tensor_of(element, argument, DType::f32));
    expect_same_device(*tensors[0], argument, *tensors.back(), argument);
  }
  return tensors;
}

/// The tensors of an argument, one for each parameter and of its shape.
std::vector<const Tensor*> companions_of(const std::vector<Napi::Value>& list, const char* argument,
                                         const std::vector<const Tensor*>& parameters) {
  if (list.size() != parameters.size())
    fail(CFGD_SHAPE, argument, "expected %zu tensors, got %zu", parameters.size(), list.size());
  std::vector<const Tensor*> tensors = tensors_of(list, argument);
  expect_same_device(*parameters[0], "parameters", *tensors[0], argument);
  for (size_t i = 0; i < tensors.size(); i++)
    if (!(tensors[i]->shape == parameters[i]->shape))
      fail(CFGD_SHAPE, argument, "expected %s like parameter %zu, got %s", parameters[i]->shape.text().c_str(), i,
           tensors[i]->shape.text().c_str());
  return tensors;
}

/// Two chunks of one step may run at the same time: no element may be written twice.
void refuse_shared_memory(const std::vector<const Tensor*>& written) {
  std::vector<std::pair<const char*, const char*>> ranges;
  for (const Tensor* t : written)
    if (t->bytes()) ranges.emplace_back(t->data<char>(), t->data<char>() + t->bytes());
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); i++)
    if (ranges[i].first < ranges[i - 1].second)
      fail(CFGD_VALUE, "parameters", "expected parameters and moments with memory of their own, got an overlap");
}

double number_within(const Napi::Value& value, const char* argument, double low, double below) {
  const double number = number_of(value, argument);
  if (!(number >= low && number < below))
    fail(CFGD_VALUE, argument, "expected at least %g and less than %g, got %g", low, below, number);
  return number;
}

template <class Entry>
void append(std::vector<std::byte>& bytes, const Entry& entry) {
  const auto* begin = reinterpret_cast<const std::byte*>(&entry);
  bytes.insert(bytes.end(), begin, begin + sizeof entry);
}

// (gradients): [1]
Napi::Value global_norm(const Napi::CallbackInfo& info) {
  const std::vector<const Tensor*> gradients = tensors_of(list_of(info[0], "gradients"), "gradients");
  Tensor norm = gradients[0]->device().empty(DType::f32, {1});
  int64_t tiles = 0;
  for (const Tensor* g : gradients) tiles += norm_tiles(g->shape.elements());
  const Tensor scratch = workspace(norm.device(), DType::f32, 2 * tiles);
  std::vector<std::byte> bytes =
      bytes_of(GlobalNormArgs{static_cast<int64_t>(gradients.size()), norm.data(), scratch.data<double>()});
  for (const Tensor* g : gradients) append(bytes, GlobalNormTensor{g->data(), g->shape.elements()});
  submit(info.Env(), Op::global_norm, std::move(bytes), gradients, {&norm, &scratch});
  return TensorObject::wrap(info.Env(), std::move(norm));
}

// (parameters, gradients, firstMoments, secondMoments, weightDecays, learningRate, beta1, beta2, epsilon, step,
//  norm | null, maxNorm, schedule [2] | null): in place on parameters and moments.
Napi::Value adamw(const Napi::CallbackInfo& info) {
  static const char* const names[] = {"parameters", "gradients", "firstMoments", "secondMoments", "weightDecays"};
  std::vector<Napi::Value> lists[5];  // all of them before any tensor is looked at
  for (int i = 0; i < 5; i++) lists[i] = list_of(info[i], names[i]);
  const std::vector<const Tensor*> parameters = tensors_of(lists[0], names[0]);
  const std::vector<const Tensor*> gradients = companions_of(lists[1], names[1], parameters);
  const std::vector<const Tensor*> first = companions_of(lists[2], names[2], parameters);
  const std::vector<const Tensor*> second = companions_of(lists[3], names[3], parameters);
  const size_t count = parameters.size();
  if (lists[4].size() != count)
    fail(CFGD_SHAPE, "weightDecays", "expected an array of %zu numbers, got %zu", count, lists[4].size());

  AdamWArgs args{};
  args.count = static_cast<int64_t>(count);
  args.learning_rate = number_within(info[5], "learningRate", 0, INFINITY);
  args.beta1 = number_within(info[6], "beta1", 0, 1);
  args.beta2 = number_within(info[7], "beta2", 0, 1);
  args.epsilon = number_within(info[8], "epsilon", 0, INFINITY);
  // As a float, since that is what is added: without it a zero gradient would give 0 / 0.
  if (!(static_cast<float>(args.epsilon) > 0))
    fail(CFGD_VALUE, "epsilon", "expected more than 0, got %g", args.epsilon);
  args.step = integer_of(info[9], "step", 1, int64_t{1} << 53);
  args.max_norm = number_of(info[11], "maxNorm");
  if (!(args.max_norm > 0)) fail(CFGD_VALUE, "maxNorm", "expected more than 0 (Infinity: off), got %g", args.max_norm);

  std::vector<const Tensor*> inputs = gradients, outputs;
  if (!is_absent(info[10])) {
    const Tensor& norm = tensor_beside(info[10], "norm", DType::f32, {1}, *parameters[0], "parameters");
    args.norm = norm.data();
    inputs.push_back(&norm);
  }
  if (!is_absent(info[12])) {
    const Tensor& schedule = tensor_beside(info[12], "schedule", DType::f32, {2}, *parameters[0], "parameters");
    args.schedule = schedule.data();
    inputs.push_back(&schedule);
  }
  const Tensor scratch = workspace(parameters[0]->device(), DType::f32, sizeof(AdamWStep) / sizeof(float));
  args.workspace = scratch.data<AdamWStep>();
  std::vector<std::byte> bytes = bytes_of(args);
  bytes.reserve(bytes.size() + count * sizeof(AdamWTensor));
  for (size_t i = 0; i < count; i++) {
    const double decay = number_within(lists[4][i], "weightDecays", 0, INFINITY);
    append(bytes, AdamWTensor{parameters[i]->data(), gradients[i]->data(), first[i]->data(), second[i]->data(),
                              parameters[i]->shape.elements(), decay});
    for (const Tensor* t : {parameters[i], first[i], second[i]}) {
      inputs.push_back(t);
      outputs.push_back(t);
    }
  }
  refuse_shared_memory(outputs);
  outputs.push_back(&scratch);
  submit(info.Env(), Op::adamw, std::move(bytes), inputs, outputs, true);
  return info.Env().Undefined();
}

}  // namespace

void export_optim(Napi::Object exports) {
  export_function<global_norm>(exports, "globalNorm");
  export_function<adamw>(exports, "adamw");
}

}  // namespace cfgd
