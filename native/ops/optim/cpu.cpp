#include "ops/optim/optim.h"

#include "cpu/kernel.h"
#include "cpu/scratch.h"
#include "cpu/simd.h"

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
  constexpr int kSums = 16;  // independent, so that the loop is not bound by the latency of one addition
  double sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= n; i += kSums)
    for (int k = 0; k < kSums; k++) sums[k] += static_cast<double>(x[i + k]) * x[i + k];
  for (int k = 0; i < n; i++, k++) sums[k] += static_cast<double>(x[i]) * x[i];
  double total = 0;
  for (int k = 0; k < kSums; k++) total += sums[k];
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

/// The constants of a step, rounded once.
struct AdamWStep {
  float clip, beta1, rest1, beta2, rest2, step_size, inverse_root, epsilon;
};

void update(const AdamWTensor& t, int64_t from, int64_t to, const AdamWStep& s, float keep) {
  float* __restrict parameter = t.parameter;
  const float* __restrict gradient = t.gradient;
  float* __restrict first = t.first;
  float* __restrict second = t.second;
#pragma omp simd
  for (int64_t i = from; i < to; i++) {
    const float g = gradient[i] * s.clip;
    const float m = s.beta1 * first[i] + s.rest1 * g;
    const float v = s.beta2 * second[i] + s.rest2 * g * g;
    first[i] = m;
    second[i] = v;
    parameter[i] = parameter[i] * keep - s.step_size * m / (__builtin_sqrtf(v) * s.inverse_root + s.epsilon);
  }
}

int32_t adamw(const AdamWArgs& a, const Parallel& parallel, cfgd_status* status) {
  const auto* entries = entries_of<AdamWTensor>(a);
  double clip = 1;
  if (a.norm) {
    const double norm = *a.norm;
    if (!(norm >= 0 && norm < INFINITY))
      return cfgd_fail(status, CFGD_VALUE, "norm", "expected a finite number of at least 0, got %g", norm);
    if (norm > a.max_norm) clip = a.max_norm / norm;
  } else if (!(norm_of(entries, a.count, parallel) < static_cast<double>(INFINITY))) {
    return refuse(entries, a.count, status);
  }
  const auto t = static_cast<double>(a.step);
  const AdamWStep s{static_cast<float>(clip),
                    static_cast<float>(a.beta1),
                    static_cast<float>(1 - a.beta1),
                    static_cast<float>(a.beta2),
                    static_cast<float>(1 - a.beta2),
                    static_cast<float>(a.learning_rate / (1 - pow(a.beta1, t))),
                    static_cast<float>(1 / __builtin_sqrt(1 - pow(a.beta2, t))),
                    static_cast<float>(a.epsilon)};
  parallel(total_of(entries, a.count), kGrain, [&](int64_t begin, int64_t end) {
    for_pieces(entries, a.count, begin, end, [&](const AdamWTensor& e, int64_t from, int64_t to) {
      update(e, from, to, s, static_cast<float>(1 - a.learning_rate * e.weight_decay));
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
