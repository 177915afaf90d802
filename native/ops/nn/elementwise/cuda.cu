#include <cuda_runtime.h>

#include <type_traits>

#include "cuda/fault.cuh"
#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "cuda/strip.cuh"
#include "ops/nn/elementwise/elementwise.h"
#include "ops/nn/elementwise/faults.h"
#include "ops/nn/elementwise/sums.cuh"
#include "ops/random/philox.h"

namespace cfgd {
namespace {

// All of these move every byte once; map_strips of cuda/strip.cuh says how. kUnroll is the number of 16-byte loads of
// each input that a thread has in flight.

template <class T>
int64_t strips_of(int64_t n) {
  return (n + kPack<T> - 1) / kPack<T>;
}

/// Launches one of two instances of a kernel of map_strips, for addresses aligned to 16 bytes and for others.
template <class... P>
int32_t launch_strips(void (*aligned)(P...), void (*other)(P...), std::initializer_list<const void*> addresses,
                      int64_t strips, int unroll, const LaunchContext& context, std::type_identity_t<P>... arguments) {
  const auto kernel = all_aligned16(addresses) ? aligned : other;
  if (strips > 0) CFGD_LAUNCH(kernel, strip_grid(strips, unroll), dim3(kStripThreads), 0, context.stream, arguments...);
  return CFGD_OK;
}

template <class Word, bool kVector>
__global__ void __launch_bounds__(kStripThreads) fill_words(Word* out, Word word, int64_t n, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = 16 / sizeof(Word);
  const int64_t thread = int64_t{blockIdx.x} * kStripThreads + threadIdx.x;
  const int64_t threads = int64_t{gridDim.x} * kStripThreads, wide = kVector ? n / kWidth : 0;
  const uint32_t pair = sizeof(Word) == 2 ? word * 0x10001u : word;
  for (int64_t i = thread; i < wide; i += threads) reinterpret_cast<uint4*>(out)[i] = {pair, pair, pair, pair};
  for (int64_t i = wide * kWidth + thread; i < n; i += threads) out[i] = word;
}

template <class T>
int32_t fill(const LaunchContext& context, const Fill<T>& a, cfgd_status*) {
  using Word = std::conditional_t<sizeof(T) == 2, uint16_t, uint32_t>;
  Word word = static_cast<Word>(a.bits);
  if constexpr (sizeof(T) == 2) word = narrowed<bf16>(float_of_bits(a.bits)).bits;
  constexpr int kUnroll = 4, kWidth = 16 / sizeof(Word);
  return launch_strips(fill_words<Word, true>, fill_words<Word, false>, {a.out}, (a.n + kWidth - 1) / kWidth, kUnroll,
                       context, reinterpret_cast<Word*>(a.out), word, a.n, context.fault);
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kStripThreads) add_strips(Add<T> a, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = kPack<T>;
  map_flat<kWidth, 2, kVector>({a.a, a.b}, {a.out}, a.n,
                               [](FlatPlace, const float (&x)[2][kWidth], float (&y)[1][kWidth]) {
#pragma unroll
                                 for (int k = 0; k < kWidth; k++) y[0][k] = x[0][k] + x[1][k];
                               });
}

template <class T>
int32_t add(const LaunchContext& context, const Add<T>& a, cfgd_status*) {
  return launch_strips(add_strips<T, true>, add_strips<T, false>, {a.a, a.b, a.out}, strips_of<T>(a.n), 2, context, a,
                       context.fault);
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kStripThreads) accumulate_strips(Accumulate<T> a, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = kPack<T>;
  const T* target = a.target;
  map_flat<kWidth, 2, kVector>({target, a.source}, {a.target}, a.n,
                               [&](FlatPlace, const float (&x)[2][kWidth], float (&y)[1][kWidth]) {
#pragma unroll
                                 for (int k = 0; k < kWidth; k++) y[0][k] = fmaf(x[1][k], a.factor, x[0][k]);
                               });
}

template <class T>
int32_t accumulate(const LaunchContext& context, const Accumulate<T>& a, cfgd_status*) {
  return launch_strips(accumulate_strips<T, true>, accumulate_strips<T, false>, {a.target, a.source},
                       strips_of<T>(a.n), 2, context, a, context.fault);
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kStripThreads) scale_strips(Scale<T> a, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = kPack<T>;
  map_flat<kWidth, 4, kVector>({a.x}, {a.out}, a.n,
                               [&](FlatPlace, const float (&x)[1][kWidth], float (&y)[1][kWidth]) {
#pragma unroll
                                 for (int k = 0; k < kWidth; k++) y[0][k] = x[0][k] * a.factor;
                               });
}

template <class T>
int32_t scale(const LaunchContext& context, const Scale<T>& a, cfgd_status*) {
  return launch_strips(scale_strips<T, true>, scale_strips<T, false>, {a.x, a.out}, strips_of<T>(a.n), 4, context, a,
                       context.fault);
}

// Rows are read once per repetition, from the L2 cache after the first. kWidth 1 where strips would cross rows or are
// not aligned. Elements pass through as they are: bits of any type, in words of the size of Word.
template <class Word, int kWidth>
__global__ void __launch_bounds__(kStripThreads)
    repeat_strips(const Word* x, Word* out, int64_t rows, int64_t n, int64_t times, FaultPort port) {
  if (skipped(port)) return;
  struct alignas(sizeof(Word) * kWidth) Strip {
    Word words[kWidth];
  };
  constexpr int kUnroll = 4;
  const int64_t strips = n / kWidth, count = rows * times * strips, step = int64_t{gridDim.x} * kStripThreads * kUnroll;
  const auto* from = reinterpret_cast<const Strip*>(x);
  auto* to = reinterpret_cast<Strip*>(out);
  for (int64_t first = int64_t{blockIdx.x} * kStripThreads * kUnroll + threadIdx.x; first < count; first += step) {
    Strip strip[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; u++) {
      const int64_t i = first + u * kStripThreads, row = i / strips;
      if (i < count) strip[u] = from[row / times * strips + (i - row * strips)];
    }
#pragma unroll
    for (int u = 0; u < kUnroll; u++)
      if (first + u * kStripThreads < count) to[first + u * kStripThreads] = strip[u];
  }
}

template <class T>
int32_t repeat_rows(const LaunchContext& context, const RepeatRows<T>& a, cfgd_status*) {
  using Word = std::conditional_t<sizeof(T) == 2, uint16_t, uint32_t>;
  constexpr int kWidth = 16 / sizeof(Word);
  const bool wide = a.n % kWidth == 0 && all_aligned16({a.x, a.out});
  const auto kernel = wide ? repeat_strips<Word, kWidth> : repeat_strips<Word, 1>;
  const int64_t strips = a.rows * a.times * (wide ? a.n / kWidth : a.n);
  if (strips > 0)
    CFGD_LAUNCH(kernel, strip_grid(strips, 4), dim3(kStripThreads), 0, context.stream,
                reinterpret_cast<const Word*>(a.x), reinterpret_cast<Word*>(a.out), a.rows, a.n, a.times,
                context.fault);
  return CFGD_OK;
}

/// What the elements of dropout are compared with and multiplied by.
struct DropoutRule {
  uint32_t threshold;
  float factor;
};

template <class T, bool kVector>
__global__ void __launch_bounds__(kStripThreads) dropout_strips(Dropout<T> a, DropoutRule rule, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = kPack<T>;
  map_flat<kWidth, 2, kVector>({a.x}, {a.out}, a.n,
                               [&](FlatPlace place, const float (&x)[1][kWidth], float (&y)[1][kWidth]) {
#pragma unroll
                                 for (int k = 0; k < kWidth; k += 4) {
                                   const auto counter = static_cast<uint32_t>((place.at + k) / 4);
                                   const Philox p = philox(a.seed, a.stream, counter, kPurposeDropout);
#pragma unroll
                                   for (int j = 0; j < 4; j++)
                                     y[0][k + j] = p.word[j] >= rule.threshold ? x[0][k + j] * rule.factor : 0.0f;
                                 }
                               });
}

template <class T>
int32_t dropout(const LaunchContext& context, const Dropout<T>& a, cfgd_status*) {
  const DropoutRule rule{static_cast<uint32_t>(a.probability * 4294967296.0),
                         static_cast<float>(1 / (1 - a.probability))};
  return launch_strips(dropout_strips<T, true>, dropout_strips<T, false>, {a.x, a.out}, strips_of<T>(a.n), 2, context,
                       a, rule, context.fault);
}

template <class From, class To, bool kVector>
__global__ void __launch_bounds__(kStripThreads) cast_strips(const From* from, To* to, int64_t n, FaultPort port) {
  if (skipped(port)) return;
  constexpr int kWidth = kPack<From> > kPack<To> ? kPack<From> : kPack<To>;
  map_flat<kWidth, 2, kVector>({from}, {to}, n,
                               [](FlatPlace, const float (&x)[1][kWidth], float (&y)[1][kWidth]) {
#pragma unroll
                                 for (int k = 0; k < kWidth; k++) y[0][k] = x[0][k];
                               });
}

template <class From, class To>
int32_t cast_between(const LaunchContext& context, const CastArgs& a) {
  constexpr int kWidth = kPack<From> > kPack<To> ? kPack<From> : kPack<To>;
  return launch_strips(cast_strips<From, To, true>, cast_strips<From, To, false>, {a.x, a.out},
                       (a.n + kWidth - 1) / kWidth, 2, context, static_cast<const From*>(a.x), static_cast<To*>(a.out),
                       a.n, context.fault);
}

template <class From>
int32_t cast_from(const LaunchContext& context, const CastArgs& a) {
  switch (a.to) {
    case DType::f16: return cast_between<From, f16>(context, a);
    case DType::bf16: return cast_between<From, bf16>(context, a);
    default: return cast_between<From, float>(context, a);
  }
}

int32_t cast(const LaunchContext& context, const CastArgs& a, cfgd_status*) {
  switch (a.from) {
    case DType::f16: return cast_from<f16>(context, a);
    case DType::bf16: return cast_from<bf16>(context, a);
    default: return cast_from<float>(context, a);
  }
}

__global__ void __launch_bounds__(kStripThreads) count_positions(RowPositionsArgs a, FaultPort port) {
  if (skipped(port)) return;
  const int64_t position = *a.position, threads = int64_t{gridDim.x} * kStripThreads;
  for (int64_t r = int64_t{blockIdx.x} * kStripThreads + threadIdx.x; r < a.rows; r += threads) {
    const int64_t steps = position - a.starts[r];
    a.out[r] = steps < 0 ? 0 : steps > INT32_MAX ? INT32_MAX : static_cast<int32_t>(steps);
  }
}

int32_t row_positions(const LaunchContext& context, const RowPositionsArgs& a, cfgd_status*) {
  if (a.rows > 0)
    CFGD_LAUNCH(count_positions, strip_grid(a.rows, 1), dim3(kStripThreads), 0, context.stream, a, context.fault);
  return CFGD_OK;
}

__global__ void advance_counter(AdvanceArgs a, FaultPort port) {
  if (skipped(port)) return;
  const int64_t counter = *a.counter, sum = counter + a.by;
  if (sum > INT32_MAX || sum < INT32_MIN)
    raise_fault(port, 0, counter < 0 ? -1 - counter : counter, counter < 0 ? kLowCounter : kHighCounter, a.by);
  else
    *a.counter = static_cast<int32_t>(sum);
}

int32_t advance(const LaunchContext& context, const AdvanceArgs& a, cfgd_status*) {
  CFGD_LAUNCH(advance_counter, dim3(1), dim3(1), 0, context.stream, a, context.fault);
  return CFGD_OK;
}

/// Every operation that exists for a type of element; `Words` is what fill and repeat_rows call it.
template <class T, class Words>
void register_for(CudaTable& table, DType type) {
  set<Fill<Words>, fill<Words>>(table, {Op::fill, type}, explain_nothing);
  set<Add<T>, add<T>>(table, {Op::add, type}, explain_nothing);
  set<Accumulate<T>, accumulate<T>>(table, {Op::accumulate, type}, explain_nothing);
  set<Scale<T>, scale<T>>(table, {Op::scale, type}, explain_nothing);
  set<SumRows<T>, sum_rows<T>>(table, {Op::sum_rows, type}, explain_nothing);
  set<RepeatRows<Words>, repeat_rows<Words>>(table, {Op::repeat_rows, type}, explain_nothing);
  set<Dropout<T>, dropout<T>>(table, {Op::dropout, type}, explain_nothing);
}

}  // namespace

void register_cuda_elementwise(CudaTable& table) {
  register_for<float, uint32_t>(table, DType::f32);
  register_for<bf16, bf16>(table, DType::bf16);
  set<SumAllArgs, sum_all>(table, Op::sum_all, explain_nothing);
  set<CastArgs, cast>(table, Op::cast, explain_nothing);
  set<RowPositionsArgs, row_positions>(table, Op::row_positions, explain_nothing);
  set<AdvanceArgs, advance>(table, Op::advance, explain_advance);
}

}  // namespace cfgd
