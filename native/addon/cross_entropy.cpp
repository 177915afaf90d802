#include "ops/nn/cross_entropy/cross_entropy.h"

#include "addon/families.h"
#include "addon/layers.h"

namespace cfgd {
namespace {

// (logits [rows, vocab], targets int32 [rows], weights [rows] | null, factor):
// [loss [1], perRow [rows], grad [rows, vocab]]
Napi::Value cross_entropy(const Napi::CallbackInfo& info) {
  const Tensor& logits = elements_of(info[0], "logits", {-1, -1});
  const auto [rows, vocab] = rows_view(logits, "logits");
  const Tensor& targets = tensor_beside(info[1], "targets", DType::i32, {rows}, logits, "logits");
  std::vector<const Tensor*> inputs = {&logits, &targets};
  CrossEntropyArgs args{};
  if (!is_absent(info[2])) {
    const Tensor& weights = tensor_beside(info[2], "weights", DType::f32, {rows}, logits, "logits");
    args.weights = weights.data();
    inputs.push_back(&weights);
  }
  args.factor = finite_of(info[3], "factor");
  Device& device = logits.device();
  Tensor loss = device.empty(DType::f32, {1}), per_row = device.empty(DType::f32, {rows});
  Tensor grad = device.empty(logits.dtype, logits.shape);
  args.logits = logits.data();
  args.targets = targets.data<int32_t>();
  args.loss = loss.data();
  args.per_row = per_row.data();
  args.grad = grad.data();
  args.rows = rows;
  args.vocab = vocab;
  submit(info.Env(), {Op::cross_entropy, logits.dtype}, bytes_of(args), inputs, {&loss, &per_row, &grad});
  return tensor_list(info.Env(), {&loss, &per_row, &grad});
}

}  // namespace

void export_cross_entropy(Napi::Object exports) { export_function<cross_entropy>(exports, "crossEntropy"); }

}  // namespace cfgd
