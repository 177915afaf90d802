#include <cuda_runtime.h>

#include "cuda/fault.cuh"
#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "cuda/search.cuh"
#include "ops/guidance/combine.cuh"
#include "ops/guidance/draw.cuh"
#include "ops/guidance/faults.h"
#include "ops/guidance/guidance.h"

namespace cfgd {
namespace {

constexpr int kCombineThreads = 256;
constexpr int kCombinePacks = 4;  // per thread and tile, of each branch
constexpr int kMaxGridY = 65535;
// Threads for a row: as many as have some eight elements each or more. The choice depends on the vocabulary alone.
constexpr int kShortRow = 1024, kShortThreads = 128, kLongThreads = 512;
// Left for the histogram and the memory of the reductions.
constexpr size_t kReservedShared = sizeof(Histogram) + (4 << 10);

template <class T>
constexpr int64_t kCombineTile = int64_t{kCombineThreads} * kCombinePacks * kPack<T>;

/// One block per row and tile; tiles stride over rows longer than the grid reaches. Moves what must be moved, two reads
/// and a write; each thread has eight loads of 16 bytes under way. `row_length` is the vocabulary, or where all rows
/// have one scale the whole array taken as one row: short rows then fill blocks, too.
template <class T>
__global__ void __launch_bounds__(kCombineThreads)
    combine_rows(GuidedLogits<T> a, int64_t row_length, double inverse_vocab, FaultPort port) {
  if (skipped(port)) return;
  const int64_t r = blockIdx.x;
  const T* cond = a.cond + r * row_length;
  const T* uncond = a.uncond + r * row_length;
  T* out = a.out + r * row_length;
  const Guidance guidance{a.scales ? a.scales[r] : a.scale, true};
  if (guidance.flaw() != kSound) {
    if (threadIdx.x == 0) raise_fault(port, r, 0, guidance.flaw());
    return;
  }
  const auto at = [&](int64_t t, float c, float u) {
    const float logit = guidance(c, u);
    if (guidance.bad(c, u, logit)) {
      const int64_t element = r * row_length + t;
      int64_t row = static_cast<int64_t>(static_cast<double>(element) * inverse_vocab);
      while (row * a.vocab > element) row--;
      while ((row + 1) * a.vocab <= element) row++;
      raise_fault(port, row, element - row * a.vocab, guidance.flaw(c, u));
    }
    return logit;
  };
  constexpr int kCount = kPack<T>;
  const bool wide = aligned16(cond) && aligned16(uncond) && aligned16(out);
  for (int64_t tile = blockIdx.y * kCombineTile<T>; tile < row_length; tile += gridDim.y * kCombineTile<T>) {
    const int64_t end = tile + kCombineTile<T> < row_length ? tile + kCombineTile<T> : row_length;
    const int64_t first = tile + kCount * threadIdx.x;
    if (wide && end == tile + kCombineTile<T>) {
      float c[kCombinePacks][kCount], u[kCombinePacks][kCount];
#pragma unroll
      for (int i = 0; i < kCombinePacks; i++) {
        load_pack(cond + first + i * kCount * kCombineThreads, c[i]);
        load_pack(uncond + first + i * kCount * kCombineThreads, u[i]);
      }
#pragma unroll
      for (int i = 0; i < kCombinePacks; i++) {
        const int64_t t = first + i * kCount * kCombineThreads;
#pragma unroll
        for (int k = 0; k < kCount; k++) c[i][k] = at(t + k, c[i][k], u[i][k]);
        store_pack(out + t, c[i]);
      }
      continue;
    }
    const int64_t packed = wide ? tile + (end - tile) / kCount * kCount : tile;
    for (int64_t t = first; t < packed; t += kCount * kCombineThreads) {
      float c[kCount], u[kCount];
      load_pack(cond + t, c);
      load_pack(uncond + t, u);
#pragma unroll
      for (int k = 0; k < kCount; k++) c[k] = at(t + k, c[k], u[k]);
      store_pack(out + t, c);
    }
    for (int64_t t = packed + threadIdx.x; t < end; t += kCombineThreads)
      out[t] = narrowed<T>(at(t, widened(cond[t]), widened(uncond[t])));
  }
}

/// Draws from one row, the whole block taking part, or raises the fault because of which it cannot be drawn from.
/// Thread 0 hands the token and its log-probability to `write`.
template <int kThreads, class T, bool kMasked, class Write>
__device__ void draw_row(const LogitRow<T, kMasked>& row, int64_t r, const DrawOptions& options, int64_t stream,
                         uint32_t position, const FaultPort& port, const Write& write) {
  int flaw = row.guidance.flaw();
  int64_t item = 0;
  if (flaw == kSound && stream < 0) {
    flaw = kNegativeCounter;
    item = -1 - stream;
  }
  int phase = 0;
  RowSummary summary;
  if (flaw == kSound) {
    summary = summarize<kThreads>(row, phase);
    if (summary.bad_token >= 0) {
      item = summary.bad_token;
      flaw = row.guidance.flaw(widened(row.cond[item]), widened(row.uncond[item]));
    } else if (summary.best_token < 0) {
      flaw = kNoSupport;
    }
  }
  if (flaw != kSound) {
    if (threadIdx.x == 0) raise_fault(port, r, item, flaw);
    return;
  }
  if (options.temperature == 0) {
    if (threadIdx.x == 0) write(static_cast<int32_t>(summary.best_token), 0.0f);
    return;
  }
  const Drawn drawn = draw<kThreads>(row, summary.best, options, static_cast<uint64_t>(stream), position);
  if (threadIdx.x != 0) return;
  const double relative = (static_cast<double>(row[drawn.token]) - summary.best) / options.temperature;
  write(static_cast<int32_t>(drawn.token), static_cast<float>(relative - log(drawn.mass)));
}

// Blocks that a processor must have room for; 0 leaves it to the compiler, which with a mask would spill registers for
// the sake of a second one.
template <bool kMasked>
constexpr int kBlocks = kMasked ? 1 : 0;

// One block per row. Each branch is read once where a row of logits fits into shared memory.
template <class T, int kThreads, bool kMasked>
__global__ void __launch_bounds__(kThreads, kBlocks<kMasked>) sample_rows(SampleGuided<T> a, bool cached, FaultPort port) {
  CFGD_DYNAMIC_SHARED(float, cache);
  if (skipped(port)) return;
  const int64_t r = blockIdx.x;
  const Guidance guidance{a.uncond && a.scales ? a.scales[r] : a.scale, a.uncond != nullptr};
  const LogitRow<T, kMasked> row{a.cond + r * a.vocab, (a.uncond ? a.uncond : a.cond) + r * a.vocab, guidance,
                                 cached ? cache : nullptr, a.vocab, kMasked ? a.allowed + r * a.allowed_step : nullptr};
  const int64_t stream = a.counters ? a.counters[r] : a.offset + r;
  draw_row<kThreads>(row, r, a.draw, stream, 0, port, [&](int32_t token, float log_prob) {
    a.tokens[r] = token;
    a.log_probs[r] = log_prob;
  });
}

template <class T, int kThreads, bool kMasked>
__global__ void __launch_bounds__(kThreads, kBlocks<kMasked>) decode_rows(DecodeSample<T> a, bool cached, FaultPort port) {
  CFGD_DYNAMIC_SHARED(float, cache);
  if (skipped(port)) return;
  const int64_t r = blockIdx.x;
  const int32_t position = *a.position;
  if (position < 0 || position >= a.capacity) {
    const int64_t capacity = a.capacity < kFaultMaxRow ? a.capacity : kFaultMaxRow;
    if (r == 0 && threadIdx.x == 0)
      raise_fault(port, capacity, position < 0 ? -1 - int64_t{position} : position,
                  position < 0 ? kNegativePosition : kPosition);
    return;
  }
  const int64_t slot = r * a.capacity + position;
  if (a.finished[r]) {
    if (threadIdx.x == 0) {
      a.history[slot] = -1;
      a.history_log_probs[slot] = 0;
    }
    return;
  }
  const int64_t state = kMasked ? a.constraint.state[r] : 0;
  if (kMasked && (state < 0 || state >= a.constraint.states)) {
    if (threadIdx.x == 0) raise_fault(port, r, state < 0 ? -1 - state : state, state < 0 ? kNegativeState : kState);
    return;
  }
  const bool guided = a.branches == 2;
  const T* cond = a.logits + r * a.vocab;
  const LogitRow<T, kMasked> row{cond, guided ? cond + a.rows * a.vocab : cond,
                                 {guided ? a.scales[r] : 1.0f, guided}, cached ? cache : nullptr, a.vocab,
                                 kMasked ? a.constraint.allowed + state * a.constraint.words : nullptr};
  draw_row<kThreads>(row, r, a.draw, int64_t{static_cast<uint32_t>(a.streams[r])}, static_cast<uint32_t>(position),
                     port, [&](int32_t token, float log_prob) {
                       a.history[slot] = token;
                       a.history_log_probs[slot] = log_prob;
                       for (int64_t b = 0; b < a.branches; b++) a.next[b * a.rows + r] = token;
                       // Only this block reads state and flag, and has read them: a barrier lies between.
                       if (kMasked) a.constraint.state[r] = a.constraint.transitions[state * a.vocab + token];
                       if (token == a.stop_token) a.finished[r] = 1;
                     });
}

// One block, after decode_rows: what no single row can do.
template <class T>
__global__ void __launch_bounds__(kShortThreads) decode_books(DecodeSample<T> a, FaultPort port) {
  if (skipped(port)) return;
  const int32_t position = *a.position;
  if (position < 0 || position >= a.capacity) return;
  unsigned long long going[1] = {0};
  for (int64_t r = threadIdx.x; r < a.rows; r += kShortThreads) going[0] += !a.finished[r];
  int phase = 0;
  reduce_block<Sum, kShortThreads>(going, phase);  // its barrier: every thread has read the position
  if (threadIdx.x == 0) {
    *a.unfinished = static_cast<int32_t>(going[0]);
    *a.position = position + 1;
  }
}

int32_t check_size(int64_t rows, int64_t vocab, const char* argument, cfgd_status* status) {
  if (rows <= kFaultMaxRow && vocab <= kFaultMaxItem) return CFGD_OK;
  return cfgd_fail(status, CFGD_SHAPE, argument, "expected at most [%lld, %lld] on CUDA, got [%lld, %lld]",
                   static_cast<long long>(kFaultMaxRow), static_cast<long long>(kFaultMaxItem),
                   static_cast<long long>(rows), static_cast<long long>(vocab));
}

/// Shared memory for a row of logits, or 0 when a row is too long for it.
size_t cache_bytes(const LaunchContext& context, int64_t vocab) {
  const size_t bytes = static_cast<size_t>(vocab) * sizeof(float);
  return bytes + kReservedShared <= context.shared_limit ? bytes : 0;
}

template <class Args>
int32_t launch_rows(void (*kernel)(Args, bool, FaultPort), int threads, const LaunchContext& context, const Args& a,
                    cfgd_status* status) {
  const size_t bytes = cache_bytes(context, a.vocab);
  if (const int32_t code = allow_shared(kernel, bytes, kReservedShared, context, status)) return code;
  const unsigned rows = static_cast<unsigned>(a.rows);
  CFGD_LAUNCH(kernel, dim3(rows), dim3(threads), bytes, context.stream, a, bytes != 0, context.fault);
  return CFGD_OK;
}

template <class T>
int32_t guided_logits(const LaunchContext& context, const GuidedLogits<T>& a, cfgd_status* status) {
  if (const int32_t code = check_size(a.rows, a.vocab, "cond", status)) return code;
  if (a.rows == 0 || a.vocab == 0) return CFGD_OK;
  const int64_t rows = a.scales ? a.rows : 1, row_length = a.scales ? a.vocab : a.rows * a.vocab;
  const int64_t tiles = (row_length + kCombineTile<T> - 1) / kCombineTile<T>;
  const dim3 grid(static_cast<unsigned>(rows), static_cast<unsigned>(tiles < kMaxGridY ? tiles : kMaxGridY));
  CFGD_LAUNCH(combine_rows<T>, grid, dim3(kCombineThreads), 0, context.stream, a, row_length,
              1 / static_cast<double>(a.vocab), context.fault);
  return CFGD_OK;
}

template <class T, bool kMasked>
int32_t launch_sample(const LaunchContext& context, const SampleGuided<T>& a, cfgd_status* status) {
  return a.vocab <= kShortRow ? launch_rows(sample_rows<T, kShortThreads, kMasked>, kShortThreads, context, a, status)
                              : launch_rows(sample_rows<T, kLongThreads, kMasked>, kLongThreads, context, a, status);
}

template <class T>
int32_t sample_guided(const LaunchContext& context, const SampleGuided<T>& a, cfgd_status* status) {
  if (const int32_t code = check_size(a.rows, a.vocab, "cond", status)) return code;
  if (a.rows == 0) return CFGD_OK;
  return a.allowed ? launch_sample<T, true>(context, a, status) : launch_sample<T, false>(context, a, status);
}

template <class T, bool kMasked>
int32_t launch_decode(const LaunchContext& context, const DecodeSample<T>& a, cfgd_status* status) {
  return a.vocab <= kShortRow ? launch_rows(decode_rows<T, kShortThreads, kMasked>, kShortThreads, context, a, status)
                              : launch_rows(decode_rows<T, kLongThreads, kMasked>, kLongThreads, context, a, status);
}

template <class T>
int32_t decode_sample(const LaunchContext& context, const DecodeSample<T>& a, cfgd_status* status) {
  if (const int32_t code = check_size(a.rows, a.vocab, "logits", status)) return code;
  if (a.rows == 0) return CFGD_OK;
  const int32_t code = a.constraint.allowed ? launch_decode<T, true>(context, a, status)
                                            : launch_decode<T, false>(context, a, status);
  if (code != CFGD_OK) return code;
  CFGD_LAUNCH(decode_books<T>, dim3(1), dim3(kShortThreads), 0, context.stream, a, context.fault);
  return CFGD_OK;
}

template <class T>
void register_for(CudaTable& table, DType type) {
  set<GuidedLogits<T>, guided_logits<T>>(table, {Op::guided_logits, type}, explain_guidance);
  set<SampleGuided<T>, sample_guided<T>>(table, {Op::sample_guided, type}, explain_guidance);
  set<DecodeSample<T>, decode_sample<T>>(table, {Op::decode_sample, type}, explain_guidance);
}

}  // namespace

void register_cuda_guidance(CudaTable& table) {
  register_for<float>(table, DType::f32);
  register_for<bf16>(table, DType::bf16);
}

}  // namespace cfgd
