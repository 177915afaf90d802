// AdamW moves the least, 28 bytes per element: it reads gradient, parameter and moments once and writes the last three
// where they were. Without a norm that was computed before it reads the gradients once more, first.
#include "ops/optim/optim.h"

#include "cpu/kernel.h"
#include "cpu/scratch.h"
#include "cpu/wide.h"
#include "ops/optim/step.h"

namespace cfgd::CFGD_ISA {
namespace {

constexpr int64_t kGrain = 16384;  // elements

/// The entries that follow a header in an operation's arguments.
template <class Entry, class Args>
const Entry* entries_of(const Args& args) {
  return reinterpret_cast<const Entry*>(&args + 1);
}

/// All tensors as one long array, so that many small ones share a chunk: calls body(entry, begin, end) for the pieces
/// of entries that make up elements [begin, end) of it.
template <class Entry, class Body>
void for_pieces(const Entry* entries, int64_t count, int64_t begin, int64_t end, const Body& body) {
  int64_t offset = 0;
  for (int64_t e = 0; e < count && offset < end; e++) {
    const int64_t n = entries[e].n;
    const int64_t from = begin > offset ? begin - offset : 0, to = end - offset < n ? end - offset : n;
    if (from < to) body(entries[e], from, to);
    offset += n;
  }
}

template <class Entry>
int64_t total_of(const Entry* entries, int64_t count) {
  int64_t total = 0;
  for (int64_t e = 0; e < count; e++) total += entries[e].n;
  return total;
}

double sum_of_squares(const float* x, int64_t n) {
  constexpr int kSums = 4;  // independent, so that the loop is not bound by the latency of one addition
  Doubles sums[2 * kSums] = {};
  int64_t i = 0;
  for (; i + kSums * kLanes <= n; i += kSums * kLanes)
#pragma GCC unroll 4
    for (int k = 0; k < kSums; k++) {
      const Wide wide = load_wide(x + i + k * kLanes);
      sums[2 * k] += wide.low * wide.low;
      sums[2 * k + 1] += wide.high * wide.high;
    }
  for (int k = 1; k < 2 * kSums; k++) sums[0] += sums[k];
  double total = reduce_add(sums[0]);
  for (; i < n; i++) total += static_cast<double>(x[i]) * x[i];
  return total;
}

/// √Σ g² of all entries: not finite exactly when an element is not.
template <class Entry>
double norm_of(const Entry* entries, int64_t count, const Parallel& parallel) {
  const int64_t total = total_of(entries, count);
  static thread_local Scratch scratch;
  double* partials = scratch.get<double>(total / kGrain + 1);
  parallel(total, kGrain, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for_pieces(entries, count, begin, end,
               [&](const Entry& e, int64_t from, int64_t to) { sum += sum_of_squares(e.gradient + from, to - from); });
    partials[begin / kGrain] = sum;
  });
  double sum = 0;
  for (int64_t c = 0; c * kGrain < total; c++) sum += partials[c];
  return __builtin_sqrt(sum);
}

/// Names the first element that is not finite.
template <class Entry>
int32_t refuse(const Entry* entries, int64_t count, cfgd_status* status) {
  for (int64_t e = 0; e < count; e++)
    for (int64_t i = 0; i < entries[e].n; i++)
      if (!(__builtin_fabsf(entries[e].gradient[i]) < INFINITY))
        return cfgd_fail(status, CFGD_VALUE, "gradients", "expected finite numbers, got %s in tensor %lld at %lld",
                         entries[e].gradient[i] != entries[e].gradient[i] ? "NaN" : "Infinity",
                         static_cast<long long>(e), static_cast<long long>(i));
  return cfgd_fail(status, CFGD_VALUE, "gradients", "expected a norm in the range of float32");
}

int32_t global_norm(const GlobalNormArgs& a, const Parallel& parallel, cfgd_status* status) {
  const auto* entries = entries_of<GlobalNormTensor>(a);
  const auto norm = static_cast<float>(norm_of(entries, a.count, parallel));
  if (!(norm < INFINITY)) return refuse(entries, a.count, status);
  a.norm[0] = norm;
  return CFGD_OK;
}

void update(const AdamWTensor& t, int64_t from, int64_t to, const AdamWStep& step) {
  const AdamWStep s = step;
  const float keep = keep_of(s, t.weight_decay);
  float* __restrict parameter = t.parameter;
  const float* __restrict gradient = t.gradient;
  float* __restrict first = t.first;
  float* __restrict second = t.second;
#pragma omp simd
  for (int64_t i = from; i < to; i++) update_element(s, keep, gradient[i], parameter[i], first[i], second[i]);
}

int32_t adamw(const AdamWArgs& a, const Parallel& parallel, cfgd_status* status) {
  const auto* entries = entries_of<AdamWTensor>(a);
  if (a.schedule && !valid_learning_rate(a.schedule[0]))
    return cfgd_fail(status, CFGD_VALUE, "schedule", "expected a finite learning rate of at least 0, got %g",
                     static_cast<double>(a.schedule[0]));
  if (a.schedule && !valid_step(a.schedule[1]))
    return cfgd_fail(status, CFGD_VALUE, "schedule", "expected a step from 1 to %.0f, got %.9g",
                     static_cast<double>(kLastScheduledStep), static_cast<double>(a.schedule[1]));
  if (a.norm && !valid_norm(*a.norm))
    return cfgd_fail(status, CFGD_VALUE, "norm", "expected a finite number of at least 0, got %g",
                     static_cast<double>(*a.norm));
  if (!a.norm && !(norm_of(entries, a.count, parallel) < static_cast<double>(INFINITY)))
    return refuse(entries, a.count, status);
  const AdamWStep step = step_of(a);
  parallel(total_of(entries, a.count), kGrain, [&](int64_t begin, int64_t end) {
    for_pieces(entries, a.count, begin, end, [&](const AdamWTensor& e, int64_t from, int64_t to) {
      update(e, from, to, step);
    });
  });
  return CFGD_OK;
}

}  // namespace

void register_optim(CpuTable& table) {
  set<GlobalNormArgs, global_norm>(table, Op::global_norm);
  set<AdamWArgs, adamw>(table, Op::adamw);
}

}  // namespace cfgd::CFGD_ISA
