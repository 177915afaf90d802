#include "ops/merge/merge.h"

#include "cpu/kernel.h"
#include "cpu/scratch.h"
#include "ops/merge/combine.h"
#include "ops/merge/faults.h"
#include "ops/merge/products.h"

namespace cfgd::CFGD_ISA {
namespace {

template <class T>
int32_t lerp(const Lerp<T>& args, const Parallel& parallel, cfgd_status*) {
  const Weighted<T> ends[2] = {{args.a, 1 - args.weight}, {args.b, args.weight}};
  const bool alone = args.weight == 0 || args.weight == 1;
  combine(alone && args.weight == 1 ? ends + 1 : ends, alone ? 1 : 2, args.out, args.n, parallel);
  return CFGD_OK;
}

template <class T>
int32_t weighted_average(const void* bytes, uint32_t, const Parallel& parallel, cfgd_status*) {
  const WeightedAverage<T>& args = *static_cast<const WeightedAverage<T>*>(bytes);
  const auto* inputs = reinterpret_cast<const Weighted<T>*>(&args + 1);
  static thread_local Scratch scratch;
  auto* used = scratch.get<Weighted<T>>(args.count);
  int64_t count = 0;
  for (int64_t k = 0; k < args.count; k++)
    if (inputs[k].weight != 0) used[count++] = inputs[k];
  combine(used, count, args.out, args.n, parallel);
  return CFGD_OK;
}

template <class T>
int32_t slerp(const Slerp<T>& args, const Parallel& parallel, cfgd_status* status) {
  const bool alone = args.weight == 0 || args.weight == 1;
  if (args.out && alone) return lerp(Lerp<T>{args.a, args.b, args.out, args.weight, args.n}, parallel, status);
  scalar_products(args, parallel);
  if (!args.out) return CFGD_OK;
  const SlerpFault fault = slerp_factors(args.sums, args.weight, args.sums + 3);
  if (fault != SlerpFault::none) return explain_slerp(fault, status);
  const Weighted<T> ends[2] = {{args.a, args.sums[3]}, {args.b, args.sums[4]}};
  combine(ends, 2, args.out, args.n, parallel);
  return CFGD_OK;
}

template <class T>
void register_for(CpuTable& table, DType type) {
  set<Lerp<T>, lerp<T>>(table, {Op::lerp, type});
  table.at({Op::weighted_average, type}) = weighted_average<T>;
  set<Slerp<T>, slerp<T>>(table, {Op::slerp, type});
}

}  // namespace

void register_merge(CpuTable& table) {
  register_for<float>(table, DType::f32);
  register_for<bf16>(table, DType::bf16);
  register_for<f16>(table, DType::f16);
}

}  // namespace cfgd::CFGD_ISA
