#include <cuda_runtime.h>

#include "cuda/fault.cuh"
#include "cuda/kernel.h"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "ops/guidance/combine.cuh"
#include "ops/guidance/draw.cuh"
#include "ops/guidance/faults.h"
#include "ops/guidance/guidance.h"

namespace cfgd {
namespace {

constexpr int kCombineThreads = 256;
constexpr int kCombineTile = 4096;  // elements of a row per block
constexpr int kMaxGridY = 65535;
// Threads for a row: as many as have some eight elements each. The choice depends on the vocabulary alone.
constexpr int kShortRow = 1024, kShortThreads = 128, kLongThreads = 512;
constexpr size_t kDefaultShared = 48 << 10;
// Left for the memory of the reductions.
constexpr size_t kReservedShared = 4 << 10;

// One block per row and tile; tiles stride over rows longer than the grid reaches.
__global__ void __launch_bounds__(kCombineThreads) combine_rows(GuidedLogitsArgs a, FaultPort port) {
  if (skipped(port)) return;
  const int64_t r = blockIdx.x;
  const float* cond = a.cond + r * a.vocab;
  const float* uncond = a.uncond + r * a.vocab;
  float* out = a.out + r * a.vocab;
  const Guidance guidance{a.scales ? a.scales[r] : a.scale, true};
  if (guidance.flaw() != kSound) {
    if (threadIdx.x == 0) raise_fault(port, r, 0, guidance.flaw());
    return;
  }
  const auto at = [&](int64_t t, float c, float u) {
    const float logit = guidance(c, u);
    if (guidance.bad(c, u, logit)) raise_fault(port, r, t, guidance.flaw(c, u));
    return logit;
  };
  const bool wide = aligned16(cond) && aligned16(uncond) && aligned16(out);
  for (int64_t tile = int64_t{blockIdx.y} * kCombineTile; tile < a.vocab; tile += int64_t{gridDim.y} * kCombineTile) {
    const int64_t end = tile + kCombineTile < a.vocab ? tile + kCombineTile : a.vocab;
    const int64_t quads = wide ? tile + ((end - tile) & ~int64_t{3}) : tile;
    for (int64_t t = tile + 4 * threadIdx.x; t < quads; t += 4 * kCombineThreads) {
      const float4 c = *reinterpret_cast<const float4*>(cond + t);
      const float4 u = *reinterpret_cast<const float4*>(uncond + t);
      float4 result;
      result.x = at(t, c.x, u.x);
      result.y = at(t + 1, c.y, u.y);
      result.z = at(t + 2, c.z, u.z);
      result.w = at(t + 3, c.w, u.w);
      *reinterpret_cast<float4*>(out + t) = result;
    }
    for (int64_t t = quads + threadIdx.x; t < end; t += kCombineThreads) out[t] = at(t, cond[t], uncond[t]);
  }
}

/// Draws from one row, the whole block taking part. False, with the fault raised, when the row cannot be drawn from.
template <int kThreads>
__device__ bool draw_row(const LogitRow& row, int64_t r, const DrawOptions& options, int64_t stream, uint32_t position,
                         const FaultPort& port, Drawn& drawn) {
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
      flaw = row.guidance.flaw(row.cond[item], row.uncond[item]);
    } else if (summary.best_token < 0) {
      flaw = kNoSupport;
    }
  }
  if (flaw != kSound) {
    if (threadIdx.x == 0) raise_fault(port, r, item, flaw);
    return false;
  }
  drawn = draw<kThreads>(row, summary, options, static_cast<uint64_t>(stream), position, phase);
  return true;
}

template <int kThreads>
__global__ void __launch_bounds__(kThreads) sample_rows(SampleGuidedArgs a, bool cached, FaultPort port) {
  CFGD_DYNAMIC_SHARED(float, cache);
  if (skipped(port)) return;
  const int64_t r = blockIdx.x;
  const Guidance guidance{a.uncond && a.scales ? a.scales[r] : a.scale, a.uncond != nullptr};
  const LogitRow row{a.cond + r * a.vocab, (a.uncond ? a.uncond : a.cond) + r * a.vocab, guidance,
                     cached ? cache : nullptr, a.vocab};
  const int64_t stream = a.counters ? a.counters[r] : a.offset + r;
  Drawn drawn;
  if (!draw_row<kThreads>(row, r, a.draw, stream, 0, port, drawn)) return;
  if (threadIdx.x == 0) {
    a.tokens[r] = static_cast<int32_t>(drawn.token);
    a.log_probs[r] = drawn.log_prob;
  }
}

template <int kThreads>
__global__ void __launch_bounds__(kThreads) decode_rows(DecodeSampleArgs a, bool cached, FaultPort port) {
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
  int32_t* token = a.history + r * a.capacity + position;
  float* log_prob = a.history_log_probs + r * a.capacity + position;
  if (a.finished[r]) {
    if (threadIdx.x == 0) {
      *token = -1;
      *log_prob = 0;
    }
    return;
  }
  const bool guided = a.branches == 2;
  const float* cond = a.logits + r * a.vocab;
  const LogitRow row{cond, guided ? cond + a.rows * a.vocab : cond, {guided ? a.scales[r] : 1.0f, guided},
                     cached ? cache : nullptr, a.vocab};
  Drawn drawn;
  if (!draw_row<kThreads>(row, r, a.draw, int64_t{static_cast<uint32_t>(a.streams[r])},
                          static_cast<uint32_t>(position), port, drawn))
    return;
  if (threadIdx.x == 0) {
    *token = static_cast<int32_t>(drawn.token);
    *log_prob = drawn.log_prob;
    for (int64_t b = 0; b < a.branches; b++) a.next[b * a.rows + r] = *token;
    // Only this block reads the flag, and has read it: a barrier lies between.
    if (*token == a.stop_token) a.finished[r] = 1;
  }
}

// One block, after decode_rows: what no single row can do.
__global__ void __launch_bounds__(kShortThreads) decode_books(DecodeSampleArgs a, FaultPort port) {
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
  if (bytes + kReservedShared > kDefaultShared) {
    const cudaError_t error = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                   cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
    if (error != cudaSuccess) return cuda_check(error, "reserving shared memory for a row", status);
  }
  const unsigned rows = static_cast<unsigned>(a.rows);
  CFGD_LAUNCH(kernel, dim3(rows), dim3(threads), bytes, context.stream, a, bytes != 0, context.fault);
  return CFGD_OK;
}

int32_t guided_logits(const LaunchContext& context, const GuidedLogitsArgs& a, cfgd_status* status) {
  if (const int32_t code = check_size(a.rows, a.vocab, "cond", status)) return code;
  if (a.rows == 0 || a.vocab == 0) return CFGD_OK;
  const int64_t tiles = (a.vocab + kCombineTile - 1) / kCombineTile;
  const dim3 grid(static_cast<unsigned>(a.rows), static_cast<unsigned>(tiles < kMaxGridY ? tiles : kMaxGridY));
  CFGD_LAUNCH(combine_rows, grid, dim3(kCombineThreads), 0, context.stream, a, context.fault);
  return CFGD_OK;
}

int32_t sample_guided(const LaunchContext& context, const SampleGuidedArgs& a, cfgd_status* status) {
  if (const int32_t code = check_size(a.rows, a.vocab, "cond", status)) return code;
  if (a.rows == 0) return CFGD_OK;
  return a.vocab <= kShortRow ? launch_rows(sample_rows<kShortThreads>, kShortThreads, context, a, status)
                              : launch_rows(sample_rows<kLongThreads>, kLongThreads, context, a, status);
}

int32_t decode_sample(const LaunchContext& context, const DecodeSampleArgs& a, cfgd_status* status) {
  if (const int32_t code = check_size(a.rows, a.vocab, "logits", status)) return code;
  if (a.rows == 0) return CFGD_OK;
  const int32_t code = a.vocab <= kShortRow
                           ? launch_rows(decode_rows<kShortThreads>, kShortThreads, context, a, status)
                           : launch_rows(decode_rows<kLongThreads>, kLongThreads, context, a, status);
  if (code != CFGD_OK) return code;
  CFGD_LAUNCH(decode_books, dim3(1), dim3(kShortThreads), 0, context.stream, a, context.fault);
  return CFGD_OK;
}

}  // namespace

void register_cuda_guidance(CudaTable& table) {
  set<GuidedLogitsArgs, guided_logits>(table, Op::guided_logits, explain_guidance);
  set<SampleGuidedArgs, sample_guided>(table, Op::sample_guided, explain_guidance);
  set<DecodeSampleArgs, decode_sample>(table, Op::decode_sample, explain_guidance);
}

}  // namespace cfgd
