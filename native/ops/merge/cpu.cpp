#include "ops/merge/merge.h"

#include "cpu/kernel.h"
#include "cpu/rows.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kElementsPerChunk = 65536;  // some 20 µs of memory traffic

typedef double Wide __attribute__((vector_size(kLanes * 8)));

#define CFGD_WIDEN(v) __builtin_convertvector(v, Wide)

void copy(const float* from, float* to, int64_t n, const Parallel& parallel) {
  if (from == to) return;
  parallel(n, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    std::memcpy(to + begin, from + begin, sizeof(float) * static_cast<uint64_t>(end - begin));
  });
}

int32_t lerp(const LerpArgs& args, const Parallel& parallel, cfgd_status*) {
  if (args.weight == 0 || args.weight == 1) {
    copy(args.weight == 0 ? args.a : args.b, args.out, args.n, parallel);
    return CFGD_OK;
  }
  const float *a = args.a, *b = args.b;
  float* out = args.out;
  const double of_b = args.weight, of_a = 1 - args.weight;
  parallel(args.n, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    for_each_vector(begin, end, [&](int64_t i, auto io) {
      const Wide mixed = CFGD_WIDEN(io.load(a + i, 0)) * of_a + CFGD_WIDEN(io.load(b + i, 0)) * of_b;
      io.store(out + i, __builtin_convertvector(mixed, Vec));
    });
  });
  return CFGD_OK;
}

constexpr int64_t kBlock = 1024;

void add_weighted(const float* data, double weight, bool first, double* sums, int64_t n) {
  if (first)
    for (int64_t i = 0; i < n; i++) sums[i] = data[i] * weight;
  else
    for (int64_t i = 0; i < n; i++) sums[i] += data[i] * weight;
}

int32_t weighted_average(const void* bytes, uint32_t, const Parallel& parallel, cfgd_status*) {
  const WeightedAverageArgs& args = *static_cast<const WeightedAverageArgs*>(bytes);
  const WeightedInput* inputs = reinterpret_cast<const WeightedInput*>(&args + 1);
  float* out = args.out;
  int64_t used = 0, first = 0;
  for (int64_t k = args.count - 1; k >= 0; k--)
    if (inputs[k].weight != 0) {
      used++;
      first = k;
    }
  if (used == 1 && inputs[first].weight == 1) {
    copy(inputs[first].data, out, args.n, parallel);
    return CFGD_OK;
  }
  parallel(args.n, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    // Summed a block at a time, input by input, in a buffer that stays in the first-level cache.
    double sums[kBlock];
    for (int64_t at = begin; at < end; at += kBlock) {
      const int64_t length = end - at < kBlock ? end - at : kBlock;
      for (int64_t k = first; k < args.count; k++)
        if (inputs[k].weight != 0) add_weighted(inputs[k].data + at, inputs[k].weight, k == first, sums, length);
      for (int64_t i = 0; i < length; i++) out[at + i] = static_cast<float>(sums[i]);
    }
  });
  return CFGD_OK;
}

#undef CFGD_WIDEN

}  // namespace

void register_merge(CpuTable& table) {
  set<LerpArgs, lerp>(table, Op::lerp);
  table.at(Op::weighted_average) = weighted_average;
}

}  // namespace cfgd::CFGD_ISA
