#include "ops/nn/matmul/matmul.h"

#include "addon/arguments.h"
#include "addon/families.h"

namespace cfgd {
namespace {

/// `into` is written while the others are read: any common memory would give garbage.
void refuse_common_memory(const Tensor& into, const Tensor& other, const char* name) {
  const char *a = into.data<char>(), *b = other.data<char>();
  if (a < b + other.bytes() && b < a + into.bytes())
    fail(CFGD_VALUE, "into", "expected memory of its own, got memory that %s also uses", name);
}

// (a, b, transposeA, transposeB, bias | null, into | null, floatOut?): out [m, n], or `into` itself.
Napi::Value matmul(const Napi::CallbackInfo& info) {
  MatmulArgs args{};
  const Tensor& a = elements_of(info[0], "a", {-1, -1});
  args.transpose_a = boolean_of(info[2], "transposeA");
  args.transpose_b = boolean_of(info[3], "transposeB");
  args.m = a.shape[args.transpose_a ? 1 : 0];
  args.k = a.shape[args.transpose_a ? 0 : 1];
  const Tensor& b = args.transpose_b ? tensor_of(info[1], "b", a.dtype, {-1, args.k})
                                     : tensor_of(info[1], "b", a.dtype, {args.k, -1});
  args.n = b.shape[args.transpose_b ? 0 : 1];
  expect_same_device(a, "a", b, "b");
  std::vector<const Tensor*> inputs = {&a, &b};
  if (!is_absent(info[4])) {
    const Tensor& bias = tensor_of(info[4], "bias", DType::f32, {args.n});
    expect_same_device(a, "a", bias, "bias");
    args.bias = bias.data();
    inputs.push_back(&bias);
  }
  args.float_out = is_absent(info[6]) ? 0 : boolean_of(info[6], "floatOut");
  const DType result = args.float_out ? DType::f32 : a.dtype;
  args.a = a.data();
  args.b = b.data();
  if (!is_absent(info[5])) {
    const Tensor& into = tensor_of(info[5], "into", result, {args.m, args.n});
    expect_same_device(a, "a", into, "into");
    refuse_common_memory(into, a, "a");
    refuse_common_memory(into, b, "b");
    if (inputs.size() > 2) refuse_common_memory(into, *inputs[2], "bias");
    args.accumulate = 1;
    args.out = into.data();
    inputs.push_back(&into);
    submit(info.Env(), {Op::matmul, a.dtype}, bytes_of(args), inputs, {&into});
    return info[5];
  }
  Tensor out = a.device().empty(result, {args.m, args.n});
  args.out = out.data();
  submit(info.Env(), {Op::matmul, a.dtype}, bytes_of(args), inputs, {&out});
  return TensorObject::wrap(info.Env(), std::move(out));
}

}  // namespace

void export_matmul(Napi::Object exports) { export_function<matmul>(exports, "matmul"); }

}  // namespace cfgd
